-- One row for each token. Instants are microseconds since the Unix epoch, UTC. What may hold any
-- character is kept as the bytes of its UTF-8, because TEXT cannot hold U+0000.
CREATE TABLE hallpass_tokens (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    -- The name and description as they are compared and searched: composed, case folded.
    name_key BYTEA NOT NULL,
    description BYTEA,
    description_key BYTEA,
    -- Separated by one space.
    scopes TEXT NOT NULL,
    -- JSON: "all" or an array of patterns.
    resources TEXT NOT NULL,
    -- JSON: "anywhere" or an array of networks.
    networks TEXT NOT NULL,
    -- JSON: an array.
    audience TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    not_before BIGINT,
    expires_at BIGINT,
    rotated_at BIGINT,
    superseded_at BIGINT,
    grace_until BIGINT,
    first_used_at BIGINT,
    suspended_at BIGINT,
    suspended_by TEXT,
    revoked_at BIGINT,
    revoked_by TEXT,
    revoked_reason TEXT,
    parent TEXT COLLATE "C",
    client BYTEA,
    -- JSON: an object.
    metadata TEXT NOT NULL,
    notices BIGINT NOT NULL,
    notices_claimed_at BIGINT,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    superseded TEXT,
    idempotency_key BYTEA,
    idempotency_request BYTEA
);

-- An owner's page; the second index also finds who has a name. Tokens that never expire are last.
CREATE INDEX hallpass_tokens_owner_created ON hallpass_tokens (tenant, owner, created_at, id);
CREATE INDEX hallpass_tokens_owner_name ON hallpass_tokens (tenant, owner, name_key, id);
CREATE INDEX hallpass_tokens_owner_expires
    ON hallpass_tokens (tenant, owner, (coalesce(expires_at, 9223372036854775807)), id);
-- How many live tokens of a kind an owner holds.
CREATE INDEX hallpass_tokens_live
    ON hallpass_tokens (tenant, owner, kind, (coalesce(expires_at, 9223372036854775807)))
    WHERE revoked_at IS NULL;
-- Pages and windows over all owners.
CREATE INDEX hallpass_tokens_created ON hallpass_tokens (created_at, id);
CREATE INDEX hallpass_tokens_expires
    ON hallpass_tokens ((coalesce(expires_at, 9223372036854775807)), id);
-- What was made from a token.
CREATE INDEX hallpass_tokens_parent ON hallpass_tokens (parent) WHERE parent IS NOT NULL;
-- What can be purged.
CREATE INDEX hallpass_tokens_ended
    ON hallpass_tokens
    (kind, (coalesce(least(revoked_at, expires_at), revoked_at, expires_at)))
    WHERE coalesce(revoked_at, expires_at) IS NOT NULL;
-- Repeated issues.
CREATE UNIQUE INDEX hallpass_tokens_idempotency
    ON hallpass_tokens (tenant, owner, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The last use of each token, apart from it, because it is written far more often than all else.
-- Half of each page is left free and no index knows the instant, only that at which its day began:
-- so most writes stay on their page and touch no index.
CREATE TABLE hallpass_uses (
    token TEXT COLLATE "C" NOT NULL PRIMARY KEY
        REFERENCES hallpass_tokens (id) ON DELETE CASCADE,
    last_used_at BIGINT,
    last_used_ip TEXT,
    last_used_agent BYTEA,
    last_used_day BIGINT NOT NULL
        GENERATED ALWAYS AS
            (coalesce(last_used_at, 0) - coalesce(last_used_at, 0) % 86400000000) STORED,
    -- The token is revoked, and no use of it is noted any more.
    closed BOOLEAN NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX hallpass_uses_day ON hallpass_uses (last_used_day, token);

-- A step that counts an owner's tokens, or looks for a name among them, first writes the row that
-- stands for the owner here. So such steps wait for each other on every isolation level.
CREATE TABLE hallpass_locks (
    slot BIGINT NOT NULL PRIMARY KEY,
    taken BIGINT NOT NULL
);
INSERT INTO hallpass_locks (slot, taken) SELECT slot, 0 FROM generate_series(0, 1023) AS slot;

-- How many steps revoked something: a database that counts fewer than before is an older one. Each
-- counts in one of several rows, so that they seldom wait for each other.
CREATE TABLE hallpass_revocations (
    slot BIGINT NOT NULL PRIMARY KEY,
    counted BIGINT NOT NULL
);
INSERT INTO hallpass_revocations (slot, counted)
    SELECT slot, 0 FROM generate_series(0, 15) AS slot;
