"""The decision page: its session, its form, what it shows; attacked by other browsers, people, sites and texts."""

import pytest
from sqlalchemy import select

from consent.tables import consent
from exchange.tables import access_token
from tests.house import ANNA, BEN
from tests.http.portal.desk import DETAILS, PUBLIC, REDIRECT_URI, answered, decisions

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>"


def test_cookies_are_for_this_host_and_no_script(desk):
    person = desk.person()
    begun = person.open(desk.pages.pushed())
    signed_in = person.sign_in(begun)
    for header in (begun.headers["Set-Cookie"], signed_in.headers.getlist("Set-Cookie")[0]):
        name, _, rest = header.partition("=")
        assert name.startswith("__Host-cdx-")
        for member in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
            assert member in rest
        assert "Domain" not in rest


def plant(person, path, secret):
    """Put a session's cookie into a browser."""
    person.browser.set_cookie(f"__Host-cdx-session-{path.rpartition('/')[2]}", secret, domain="exchange.example")


def test_a_session_is_new_at_each_sign_in_and_opens_one_decision(desk):
    person = desk.person()
    first, second = desk.pages.pushed(), desk.pages.pushed()
    path = person.begin(first)
    before = {cookie.key: cookie.value for cookie in person.browser._cookies.values()}
    other = person.begin(second)
    assert path != other
    stranger = desk.person(BEN)
    # The secret of one session under the name of another, and names alone.
    [name] = [one for one in before if "session" in one]
    stranger.browser.set_cookie(
        f"__Host-cdx-session-{other.rpartition('/')[2]}", before[name], domain="exchange.example"
    )
    assert stranger.get(other).status_code == 401
    assert stranger.get(path).status_code == 401
    # Fixation: a cookie that was there before the sign-in is not the one that counts after it.
    plant(stranger, path, "A" * 43)
    third = desk.pages.pushed()
    person.begin(third)
    with desk.exchange.database.read() as connection:
        assert len(set(connection.execute(select(access_token.c.digest)).scalars())) == 3


def test_a_session_is_no_token_and_a_token_no_session(desk):
    import jwt

    person = desk.person()
    path = person.begin(desk.pages.pushed())
    citizen = desk.house.citizen(ANNA)
    assert citizen.jkt == "jkt"
    own = desk.pages.fetch()
    jti = jwt.decode(own, options={"verify_signature": False})["jti"]
    stranger = desk.person(BEN)
    for value in (jti, own, "session", ""):
        stranger.browser.set_cookie(f"__Host-cdx-session-{path.rpartition('/')[2]}", value, domain="exchange.example")
        assert stranger.get(path).status_code == 401


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({"csrf": "x"}, {}),
        ({"csrf": None}, {}),
        ({"csrf": "ä"}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
        ({"decision": "perhaps"}, {}),
        ({"decision": None}, {}),
    ],
    ids=str,
)
def test_a_form_of_another_site_decides_nothing(desk, form, headers):
    person = desk.person()
    path = person.begin(desk.pages.pushed())
    assert person.decide(path, headers=headers, **form).status_code == 400
    assert decisions(desk) == []
    assert answered(person.decide(path, headers={"Origin": None, "Sec-Fetch-Site": None}))["code"]


def test_a_form_of_another_tab_is_not_of_this_one(desk):
    person = desk.person()
    one, other = person.begin(desk.pages.pushed()), person.begin(desk.pages.pushed())
    assert person.send(one, person.form(other) | {"decision": "allow"}).status_code == 400


def test_two_tabs_that_decide_differently_leave_one_decision(desk):
    person = desk.person()
    path = person.begin(desk.pages.pushed())
    form = person.form(path)
    assert answered(person.send(path, form | {"decision": "refuse"}))["error"] == "access_denied"
    assert person.send(path, form | {"decision": "allow"}).status_code in (401, 409)
    assert decisions(desk) == ["REFUSED"]


def test_a_request_that_two_people_open_is_decided_by_one_of_them(desk):
    uri = desk.pages.pushed()
    anna, ben = desk.person(ANNA), desk.person(BEN)
    path = anna.begin(uri)
    assert ben.begin(uri) == path
    assert ben.get(path).status_code == 200
    assert answered(anna.decide(path))["code"]
    assert ben.get(path).status_code == 409
    with desk.exchange.database.read() as connection:
        [row] = connection.execute(select(consent.c.subject_ref)).all()
    assert row.subject_ref == desk.house.people[ANNA]


def test_who_is_erased_while_the_page_is_open_decides_nothing(desk):
    from exchange import erasure

    person = desk.person()
    path = person.begin(desk.pages.pushed())
    form = person.form(path)
    erasure.erase(desk.exchange, desk.house.people[ANNA], desk.clock())
    assert person.get(path).status_code == 401
    assert person.send(path, form | {"decision": "allow"}).status_code == 401


# The page


@pytest.mark.requirement("NET-10")
def test_no_other_site_may_frame_read_or_script_the_page(desk):
    person = desk.person()
    path = person.begin(desk.pages.pushed())
    for answer in (person.get(path), person.get("/oauth/authorize"), person.get("/oauth/authorize/nowhere")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        assert not any(name.startswith("Access-Control") for name, _ in answer.headers)
    asked = person.browser.options(path, base_url=PUBLIC, headers={"Origin": "https://evil.example"})
    assert not any(name.startswith("Access-Control") for name, _ in asked.headers)


def test_the_answer_of_the_form_may_lead_to_the_client_and_nowhere_else(desk):
    person = desk.person()
    policy = person.get(person.begin(desk.pages.pushed())).headers["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' https://agency.example")


def test_texts_from_outside_are_shown_and_never_run(desk):
    details = DETAILS | {"message": EVIL}
    person = desk.person()
    page = person.get(person.begin(desk.pages.pushed(details=details))).text
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.requirement("AZ-13")
def test_the_page_says_who_asks_what_why_and_for_how_long(desk):
    person = desk.person()
    path = person.begin(desk.pages.pushed())
    page = person.get(path).text
    for text in (
        "Housing Benefit Office",
        "Decide on housing benefit",
        "Your rent of this year",
        "Help with your rent",
        "only yes or no: at least 18".capitalize(),
        "(needed)",
        "(you choose)",
        "1825 days",
        "2027-05-02",
    ):
        assert text in page, text
    assert "Une aide pour votre loyer" in person.get(path + "?lang=fr").text
    assert "Help with your rent" in person.get(path + "?lang=%22%3E").text
    french = person.get(path, headers={"Accept-Language": "fr;q=0.9, de;q=1.0"})
    assert 'name="language" value="fr"' in french.text
    buttons = [line for line in page.splitlines() if "<button" in line]
    assert len(buttons) == 2
    assert buttons[0].replace("refuse", "allow").replace("Do not allow", "Allow") == buttons[1]
    assert "checked" not in page


def test_a_native_program_is_sent_back_to_its_own_machine(desk):
    pages = desk.agency(redirect_uris=("http://127.0.0.1:7777/back",))
    person = desk.person()
    uri = pages.pushed(redirect_uri="http://127.0.0.1:7777/back")
    path = person.sign_in(person.open(uri, client_id=pages.client_id)).headers["Location"]
    answer = person.decide(path)
    assert answer.headers["Location"].startswith("http://127.0.0.1:7777/back?code=")
    assert answer.status_code == 303
    assert REDIRECT_URI not in answer.headers["Location"]
