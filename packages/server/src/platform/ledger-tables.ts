import type { EvidenceKind, ReviewMark, ReviewOutcome } from '@trialkeep/contract';
import type { Generated } from 'kysely';

/** The rows of ledgers, and of what is said, seen and asked about them. */
export interface LedgerTables {
  log: {
    id: Generated<number>;
    tenant: string | null;
    origin: string;
    payload_key_version: string;
    wrapped_payload_key: Uint8Array;
    pruned_below: Generated<number>;
    deleted_below: Generated<number>;
  };
  log_key: {
    id: string;
    log: number;
    algorithm: 'ED25519' | 'ML_DSA_44';
    verifier_key: string;
    wrapped_key: Uint8Array | null;
    state: 'active' | 'ending' | 'ended';
    from_size: number;
    until_size: number | null;
    ends_at: number | null;
  };
  head: { log: number; size: number; epoch: number; time: number };
  ledger_tree: { log: number; size: number; root: Uint8Array };
  ledger_entry: { log: number; position: number; bytes: Uint8Array };
  ledger_payload: { log: number; position: number; ciphertext: Uint8Array };
  catch_up: { log: number };
  ledger_redaction: { log: number; position: number; redacted_at: number };
  ledger_tile: { log: number; level: number; tile: number; hashes: Uint8Array };
  ledger_checkpoint: { log: number; size: number; note: string; created_at: number };
  ledger_index: {
    log: number;
    position: number;
    entry: string;
    time: number;
  };
  ledger_posting: { log: number; field: string; value: string; chunk: number; positions: Uint8Array };
  ledger_projection: { log: number; size: number };
  saved_question: {
    id: string;
    log: number;
    name: string;
    owner: string;
    question: Uint8Array;
    created_at: number;
  };
  review_plan: {
    id: string;
    log: number;
    name: string;
    definition: Uint8Array;
    rationale: Uint8Array;
    author: string;
    state: 'active' | 'ended';
    version: number;
    covered: number;
    due_at: number;
    created_at: number;
    seal: Uint8Array;
  };
  review: {
    id: string;
    log: number;
    plan: string;
    plan_version: number;
    author: string;
    definition: Uint8Array;
    from_size: number;
    to_size: number;
    first: number;
    root: string;
    checkpoint: string;
    matched: number;
    per_mille: number;
    opened_at: number;
    opened_by: string | null;
    due_at: number;
    overdue_at: number | null;
    state: 'open' | 'closed';
    reviewer: string | null;
    outcome: ReviewOutcome | null;
    conclusion: Uint8Array | null;
    conclusion_hash: string | null;
    record: Uint8Array | null;
    hash: string | null;
    signature: string | null;
    closed_at: number | null;
    seal: Uint8Array;
  };
  review_comment: {
    id: string;
    log: number;
    review: string;
    position: number;
    entry: string;
    subject: string | null;
    author: string;
    mark: ReviewMark;
    own: 0 | 1;
    document: Uint8Array;
    hash: string;
    made_at: number;
    seal: Uint8Array;
  };
  review_reading: {
    review: string;
    person: string;
    below: number;
    presented: number;
    first: number;
    seal: Uint8Array;
  };
  evidence: {
    id: string;
    log: number;
    kind: EvidenceKind;
    hash: string;
    actor: string;
    parts: number;
    made_at: number;
    seal: Uint8Array;
  };
  evidence_part: { evidence: string; part: number; ciphertext: Uint8Array };
  use_reporter: {
    log: number;
    id: string;
    system: string | null;
    last_sequence: number;
    last_hash: string;
    seal: Uint8Array;
  };
  use_receipt: { log: number; reporter: string; sequence: number; hash: string; seal: Uint8Array };
  witnessing_policy: {
    log: number;
    policy: string;
    mirrors: string;
    mode: 'background' | 'required';
    bound_ms: number;
    version: number;
    hash: string;
    changed_at: number;
    seal: Uint8Array;
  };
  witnessing_progress: {
    log: number;
    round_size: number;
    round_at: number;
    witnessed_size: number;
    withheld_since: number | null;
    seal: Uint8Array;
  };
  witnessing_cosigner: {
    log: number;
    cosigner: string;
    seen_size: number;
    size: number;
    cosigned_at: number | null;
    failure: string | null;
    failing_since: number | null;
    failures: number;
    next_at: number;
  };
  ledger_cosignature: { log: number; size: number; cosigner: string; line: string; time: number };
  ledger_timestamp: {
    log: number;
    size: number;
    note: string;
    token: Uint8Array;
    authority: string;
    time: number;
    created_at: number;
  };
  clock_source: {
    source: string;
    state: 'within' | 'beyond';
    offset_ms: number;
    observed_at: number;
    alerted_at: number | null;
  };
}
