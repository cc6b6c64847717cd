-- Marks the file as hallpass's own ("hall").
PRAGMA application_id = 1751215212;

-- One row for each token. Instants are microseconds since the Unix epoch, UTC.
CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The name and description as they are compared and searched: composed, case folded.
    name_key TEXT NOT NULL,
    description TEXT,
    description_key TEXT,
    -- Separated by one space.
    scopes TEXT NOT NULL,
    -- JSON: "all" or an array of patterns.
    resources TEXT NOT NULL,
    -- JSON: "anywhere" or an array of networks.
    networks TEXT NOT NULL,
    -- JSON: an array.
    audience TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    not_before INTEGER,
    expires_at INTEGER,
    last_used_at INTEGER,
    last_used_ip TEXT,
    last_used_agent TEXT,
    rotated_at INTEGER,
    superseded_at INTEGER,
    grace_until INTEGER,
    first_used_at INTEGER,
    suspended_at INTEGER,
    suspended_by TEXT,
    revoked_at INTEGER,
    revoked_by TEXT,
    revoked_reason TEXT,
    parent TEXT,
    client TEXT,
    -- JSON: an object.
    metadata TEXT NOT NULL,
    notices INTEGER NOT NULL,
    notices_claimed_at INTEGER,
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    superseded TEXT,
    idempotency_key BLOB,
    idempotency_request BLOB,
    -- Those that never expire are last, those that were never used first.
    expires_order INTEGER NOT NULL AS (coalesce(expires_at, 9223372036854775807)) VIRTUAL,
    used_order INTEGER NOT NULL AS (coalesce(last_used_at, 0)) VIRTUAL,
    ended_at INTEGER AS (coalesce(min(revoked_at, expires_at), revoked_at, expires_at)) VIRTUAL
) STRICT;

-- An owner's page, by each sort key; the second also finds who has a name.
CREATE INDEX tokens_owner_created ON tokens (tenant, owner, created_at, id);
CREATE INDEX tokens_owner_name ON tokens (tenant, owner, name_key, id);
CREATE INDEX tokens_owner_expires ON tokens (tenant, owner, expires_order, id);
CREATE INDEX tokens_owner_used ON tokens (tenant, owner, used_order, id);
-- How many live tokens of a kind an owner holds.
CREATE INDEX tokens_live ON tokens (tenant, owner, kind, expires_order) WHERE revoked_at IS NULL;
-- Pages and windows over all owners.
CREATE INDEX tokens_created ON tokens (created_at, id);
CREATE INDEX tokens_expires ON tokens (expires_order, id);
CREATE INDEX tokens_used ON tokens (used_order, id);
-- What was made from a token.
CREATE INDEX tokens_parent ON tokens (parent) WHERE parent IS NOT NULL;
-- What can be purged.
CREATE INDEX tokens_ended ON tokens (kind, ended_at) WHERE ended_at IS NOT NULL;
-- Repeated issues.
CREATE UNIQUE INDEX tokens_idempotency ON tokens (tenant, owner, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- How many steps revoked something: a file that counts fewer than before is an older one.
CREATE TABLE revocations (counted INTEGER NOT NULL) STRICT;
INSERT INTO revocations (counted) VALUES (0);
