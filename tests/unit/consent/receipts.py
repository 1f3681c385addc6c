"""What stands around the example consent when a receipt is made."""

from uuid import UUID

from consent.receipt import DataItem, Party, ProcessingDetails

RECEIPT_ID = UUID("018f4e6a-0000-7000-8000-0000000000d1")
PRINCIPAL = "uQ0ZJ8c1hXn3Yt5s"
ISSUER = "https://exchange.example"


def party(party_id: str, role: str, **changes) -> Party:
    texts = {
        "id": party_id,
        "name": f"Office of {party_id}",
        "address": "1 Main Square, 1000 Sample City",
        "contact": f"privacy@{party_id}.example",
        "role": role,
    }
    return Party(**(texts | changes))


DETAILS = ProcessingDetails(
    controller=party("housing", "dpv:DataController", url="https://housing.example"),
    sources=(party("tax", "dpv:DataSource"), party("population", "dpv:DataSource")),
    operator=party("exchange", "dpv:DataProcessor"),
    authority=party("dpa", "dpv:DataProtectionAuthority"),
    items=(
        DataItem(name="income", form="at_least", title="Income at or above a limit", sensitive=True, special=False),
        DataItem(name="income", form="value", title="Yearly income", sensitive=True, special=False),
        DataItem(name="residence", form="value", title="Address of residence", sensitive=False, special=False),
    ),
    purpose_title="Decide on a rent subsidy",
    purpose_type="dpv:ServiceAccessDetermination",
    notice_url="https://housing.example/notices/housing-2026.1",
    service="Rent subsidy",
    jurisdiction="EU",
    storage_locations=("EU",),
    processing_locations=("EU",),
    geographic_restrictions=("EU only",),
    retention="P2Y",
    withdrawal_url="https://exchange.example/my/consents",
    rights_url="https://exchange.example/my/rights",
)
