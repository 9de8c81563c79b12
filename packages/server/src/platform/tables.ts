import type {
  ExitState,
  HoldAbout,
  HoldKind,
  HolderAbout,
  HolderKind,
  KeyState,
  RewrapState,
  Role,
} from '@trialkeep/contract';
import type { Generated } from 'kysely';
import type { LedgerTables } from './ledger-tables.ts';
import type { TenantRootTables } from './tenant-root-tables.ts';
import type { RootTables } from './root-tables.ts';

/** The rows of the main database, as the migrations of either dialect define them. */
export interface Tables extends LedgerTables, RootTables, TenantRootTables {
  instance: {
    singleton: number;
    id: string;
    profile: string;
    region: string;
    origin: string;
    root_id: string;
    wrapped_key: Uint8Array;
    created_at: number;
  };
  tenant: {
    id: string;
    account: string;
    name: string;
    key_version: string;
    wrapped_key: Uint8Array;
    created_at: number;
    wrapped_row_key: Generated<Uint8Array | null>;
  };
  study: { id: string; tenant: string; protocol: string; title: string; created_at: number };
  system: { id: string; tenant: string; name: string; type: string; vendor: string; created_at: number };
  subject: {
    tenant: string;
    study: string;
    alias: string;
    number_ciphertext: Uint8Array;
    created_at: number;
    state: Generated<'active' | 'erasing' | 'erased'>;
  };
  credential: {
    id: string;
    log: number;
    name: string;
    role: Role;
    system: string | null;
    secret_hash: Uint8Array;
    state: 'active' | 'revoked';
    created_at: number;
    expires_at: number | null;
    wrapped_secret: Uint8Array | null;
    seal: Uint8Array;
  };
  credential_key: { credential: string; key: string; seal: Uint8Array };
  key: {
    id: string;
    tenant: string;
    system: string;
    description: string;
    algorithm: string;
    purpose: string;
    state: KeyState;
    version: number;
    created_at: number;
    activates_at: number | null;
    expires_at: number | null;
    rotation_period_days: number;
    rotation_due_at: number;
    revocation_cause: string | null;
    revoked_at: number | null;
    use_logged: Generated<0 | 1>;
    own_rotation: Generated<0 | 1>;
    recipient_period_days: Generated<number | null>;
    destruction_due_at: Generated<number | null>;
    imported: Generated<0 | 1>;
    exportable: Generated<0 | 1>;
    seal: Uint8Array;
    protection: Generated<'software' | 'hsm'>;
  };
  hold: {
    id: string;
    tenant: string;
    about: HoldAbout;
    thing: string;
    study: string | null;
    kind: HoldKind;
    until_at: number | null;
    state: 'placed' | 'released';
    placed_by: string | null;
    placed_at: number;
    changed_at: number;
    seal: Uint8Array;
  };
  holder: {
    id: string;
    log: number;
    kind: HolderKind;
    name: string;
    contact: string;
    about: HolderAbout;
    thing: string | null;
    study: string | null;
    state: 'registered' | 'ended';
    registered_by: string | null;
    registered_at: number;
    expires_at: number | null;
    changed_at: number;
    seal: Uint8Array;
  };
  holder_attestation: {
    holder: string;
    about: string;
    thing: string;
    actor: string | null;
    made_at: number;
    seal: Uint8Array;
  };
  erasure: {
    study: string;
    subject: string;
    tenant: string;
    removed_at: number;
    epoch: number;
    renewed_at: number | null;
    completed_at: number | null;
    seal: Uint8Array;
  };
  tenant_exit: {
    tenant: string;
    id: string;
    state: ExitState;
    uses: 'process' | 'none';
    recipient: string;
    pages: number;
    progress: string;
    opened: string;
    manifest: string | null;
    due_at: number | null;
    changed_at: number;
    seal: Uint8Array;
  };
  tenant_exit_page: {
    tenant: string;
    page: number;
    part: 'rows' | 'keys';
    bytes: number;
    records: number;
    hash: string;
  };
  study_erasure: {
    study: string;
    tenant: string;
    state: 'waiting' | 'cancelled' | 'erasing' | 'erased';
    due_at: number;
    changed_at: number;
    seal: Uint8Array;
  };
  study_closure: {
    study: string;
    tenant: string;
    state: 'open' | 'closed';
    cause: string;
    changed_at: number;
    seal: Uint8Array;
  };
  drill: {
    id: string;
    log: number;
    scope: 'vendor' | 'system' | 'credential' | 'key';
    system: string | null;
    key: string | null;
    credential: string | null;
    state: 'running' | 'passed' | 'failed';
    begun_at: number;
    ended_at: number | null;
    record: Uint8Array | null;
    hash: string | null;
    seal: Uint8Array;
  };
  drill_schedule: {
    log: number;
    every_days: number;
    scope: 'vendor' | 'system' | 'credential' | 'key';
    next_at: number;
    seal: Uint8Array;
  };
  data_key: {
    key: string;
    reference: Uint8Array;
    version: number;
    wrapped: Uint8Array;
    context: Uint8Array;
    subject: string | null;
    registered_at: number;
  };
  data_key_registry: { key: string; log: number; registered: number; aimed_version: number };
  rewrap: {
    id: string;
    log: number;
    key: string;
    version: number;
    state: RewrapState;
    cause: string | null;
    parts: number;
    total: number;
    begun_at: number;
    worked_ms: number;
    running_since: number | null;
    ended_at: number | null;
  };
  rewrap_part: {
    rewrap: string;
    part: number;
    behind: Uint8Array | null;
    rewrapped: number;
    passed: number;
    failed: number;
    lost: number;
    hash: string;
    ended_at: number | null;
  };
  key_import: {
    id: string;
    tenant: string;
    requester: string;
    token_hash: Uint8Array;
    wrapping_algorithm: string;
    wrapped_key: Uint8Array;
    key: string;
    is_version: 0 | 1;
    system: string;
    algorithm: string;
    purpose: string;
    description: string;
    exportable: 0 | 1;
    key_expires_at: number | null;
    tries: number;
    ends_at: number;
    seal: Uint8Array;
  };
  known_material: { fingerprint: Uint8Array };
  key_destination: {
    id: string;
    tenant: string;
    name: string;
    contact: string;
    public_key: Uint8Array;
    fingerprint: string;
    state: 'registered' | 'retired';
    registered_by: string | null;
    registered_at: number;
    changed_at: number;
    seal: Uint8Array;
  };
  key_export: {
    id: string;
    tenant: string;
    key: string;
    version: number;
    destination: string;
    fingerprint: string;
    wrapped: Uint8Array;
    exported_at: number;
    ends_at: number;
    seal: Uint8Array;
  };
  rotation_policy: { tenant: string; period_days: number; changed_at: number; seal: Uint8Array };
  key_version: {
    id: string;
    key: string;
    version: number;
    wrapped_secret: Uint8Array;
    public_key: Generated<Uint8Array | null>;
    /** Of a version that stays in an HSM, and has no secret here: the serial number of the token. */
    token: Generated<string | null>;
    created_at: number;
    seal: Uint8Array;
  };
  job: {
    name: string;
    task: string;
    input: string;
    due_at: number;
    lease: string;
    leased_until: number;
    attempts: number;
    failure: string | null;
  };
  effect: {
    id: string;
    log: number;
    kind: string;
    input: string;
    state: 'intended' | 'settled';
    intended_at: number;
    settled_at: number | null;
    seal: Uint8Array;
  };
  person: {
    id: string;
    log: number;
    name: string;
    login: string;
    state: 'invited' | 'active' | 'left';
    roles: string;
    password: string | null;
    totp: string | null;
    revision: number;
    created_at: number;
    failures: number;
    locked_until: number;
    seal: Uint8Array;
  };
  authenticator: {
    id: string;
    person: string;
    type: 'password' | 'totp';
    secret: Uint8Array;
    used_step: number;
    created_at: number;
    seal: Uint8Array;
  };
  invitation: {
    id: string;
    log: number;
    person: string;
    secret_hash: Uint8Array;
    totp: string | null;
    state: 'open' | 'used' | 'withdrawn';
    created_at: number;
    expires_at: number;
    seal: Uint8Array;
  };
  session: {
    id: string;
    log: number;
    person: string;
    secret_hash: Uint8Array;
    level: number;
    state: 'active' | 'ended';
    created_at: number;
    expires_at: number;
    seal: Uint8Array;
  };
  approval: {
    id: string;
    log: number;
    operation: string;
    request: Uint8Array;
    hash: string;
    requester: string;
    requester_password: string;
    needed: number;
    state: 'pending' | 'approved' | 'executed' | 'denied' | 'cancelled' | 'failed';
    requested_at: number;
    expires_at: number;
    failure: string | null;
    seal: Uint8Array;
  };
  approval_vote: {
    approval: string;
    person: string;
    decision: 'approve' | 'deny';
    voted_at: number;
    signature: string;
    password: string;
    seal: Uint8Array;
  };
  signature: {
    id: string;
    log: number;
    person: string;
    record: Uint8Array;
    hash: string;
    created_at: number;
    seal: Uint8Array;
  };
  tenant_seal: { tenant: string; state: 'open' | 'sealed'; changed_at: number; seal: Uint8Array };
}

/** The row of the shred store, as migrations/0001-initial.shred.sqlite.sql defines it. */
export interface ShredTables {
  shred_epoch: { singleton: number; epoch: number; key: string | null };
  shreddable_key: {
    id: string;
    tenant: string;
    kind: 'study' | 'subject';
    version: string;
    epoch: number;
    wrapped_secret: Uint8Array;
  };
}
