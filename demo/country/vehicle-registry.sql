-- The vehicle and licence registry of Valdoria as it has stood since 1994. Nobody dares to touch the tables; the view is
-- all that was added for the exchange: one row for each person, read by `cdx provider serve` and by nothing else.
CREATE TABLE LICHLD (            -- licence holders
    LH_PID    CHAR(10) PRIMARY KEY,  -- national id without hyphens
    LH_CLS    CHAR(12),              -- classes, filled up with blanks
    LH_VALTO  CHAR(8),               -- YYYYMMDD
    LH_BADGE  CHAR(1) NOT NULL,      -- Y/N: badge for disabled parking
    LH_LOCKTO CHAR(8),               -- record closed to inquiry until
    LH_CHGDT  CHAR(8) NOT NULL
);
CREATE TABLE VEHREG (            -- vehicles
    VR_PLATE  CHAR(10) PRIMARY KEY,
    VR_KIND   CHAR(2) NOT NULL,
    VR_EMIS   CHAR(2) NOT NULL,
    VR_FIRST  CHAR(10) NOT NULL,     -- DD.MM.YYYY
    VR_OWNER  CHAR(10) NOT NULL,
    VR_STAT   CHAR(1) NOT NULL       -- A active, D deregistered
);
CREATE INDEX VEHREG_OWNER ON VEHREG (VR_OWNER);

CREATE VIEW V_CDX_PERSON AS
SELECT lower(LH_PID)                                                                        AS PID,
       LH_CLS, LH_VALTO, LH_BADGE,
       substr(LH_LOCKTO, 1, 4) || '-' || substr(LH_LOCKTO, 5, 2) || '-' || substr(LH_LOCKTO, 7, 2) AS LOCKTO,
       substr(LH_CHGDT, 1, 4) || '-' || substr(LH_CHGDT, 5, 2) || '-' || substr(LH_CHGDT, 7, 2)    AS CHGDT,
       (SELECT count(*) FROM VEHREG WHERE VR_OWNER = LH_PID AND VR_STAT = 'A')              AS VEH_CNT,
       VR_PLATE, VR_KIND, VR_EMIS, VR_FIRST
FROM LICHLD
LEFT JOIN VEHREG ON VR_PLATE = (SELECT min(VR_PLATE) FROM VEHREG WHERE VR_OWNER = LH_PID AND VR_STAT = 'A');
