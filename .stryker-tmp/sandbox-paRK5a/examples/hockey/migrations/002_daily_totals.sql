-- A summary that the background task rewrites every minute; days are UTC.
CREATE TABLE daily_totals (
    day date PRIMARY KEY,
    trainings integer NOT NULL,
    minutes integer NOT NULL
);
