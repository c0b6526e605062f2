-- Every Telegram update once: the key makes a repeated one harmless.
CREATE TABLE updates (
    update_id bigint PRIMARY KEY,
    chat_id bigint,
    sender_id bigint,
    player text NOT NULL,
    text text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    reply text,
    replied_at timestamptz
);

CREATE TABLE trainings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    player text NOT NULL,
    what text NOT NULL,
    minutes integer NOT NULL CHECK (minutes BETWEEN 1 AND 600),
    trained_at timestamptz NOT NULL DEFAULT now(),
    -- Set when the training came by Telegram. A player may rename, the sender's number stays.
    sender_id bigint,
    update_id bigint UNIQUE REFERENCES updates
);

CREATE INDEX trainings_sender ON trainings (sender_id);
