/** Which rows of a table are a tenant's. */
type Owner =
  /** A column has the tenant's id, or the number of its log. */
  | { readonly column: string; readonly is: 'tenant' | 'log' }
  /** A column has the id of a row of another table that is the tenant's. */
  | { readonly column: string; readonly table: string; readonly is: 'tenant' | 'log' };

export interface ExitTable {
  readonly table: string;
  readonly owner: Owner;
  /** The columns of its primary key, in whose order rows are copied. */
  readonly key: readonly string[];
  /** Columns that open nothing elsewhere, or are people's secrets: hashes, seals, wrapped keys. */
  readonly without: readonly string[];
}

const seal = ['seal'];

function ofTenant(table: string, key: readonly string[], without: readonly string[] = seal): ExitTable {
  return { table, owner: { column: 'tenant', is: 'tenant' }, key, without };
}

function ofLog(table: string, key: readonly string[], without: readonly string[] = seal): ExitTable {
  return { table, owner: { column: 'log', is: 'log' }, key, without };
}

function within(
  table: string,
  [column, parent, is]: readonly [string, string, 'tenant' | 'log'],
  key: readonly string[],
  without: readonly string[] = seal,
): ExitTable {
  return { table, owner: { column, table: parent, is }, key, without };
}

/** Every table with rows of tenants that are copied out, in the order of the package (docs/formats/tenant-exit.md). */
export const exitTables: readonly ExitTable[] = [
  {
    table: 'tenant',
    owner: { column: 'id', is: 'tenant' },
    key: ['id'],
    without: ['wrapped_key', 'wrapped_row_key'],
  },
  ofTenant('study', ['id'], []),
  ofTenant('system', ['id'], []),
  ofTenant('subject', ['study', 'alias'], []),
  ofTenant('key', ['id']),
  within('key_version', ['key', 'key', 'tenant'], ['id'], ['seal', 'wrapped_secret']),
  ofTenant('rotation_policy', ['tenant']),
  ofTenant('key_destination', ['id']),
  ofTenant('second_recipient', ['id']),
  ofTenant('hold', ['id']),
  ofTenant('erasure', ['study', 'subject']),
  ofTenant('study_erasure', ['study']),
  ofTenant('study_closure', ['study']),
  ofTenant('tenant_seal', ['tenant']),
  ofTenant('tenant_root', ['tenant'], ['seal', 'wrapped_key', 'wrapped_row_key']),
  within('data_key', ['key', 'key', 'tenant'], ['key', 'reference'], []),
  within('data_key_registry', ['key', 'key', 'tenant'], ['key'], []),
  ofLog('rewrap', ['id'], []),
  within('rewrap_part', ['rewrap', 'rewrap', 'log'], ['rewrap', 'part'], []),
  ofLog('credential', ['id'], ['seal', 'secret_hash', 'wrapped_secret']),
  within('credential_key', ['credential', 'credential', 'log'], ['credential', 'key']),
  ofLog('person', ['id'], ['seal', 'password', 'totp']),
  ofLog('holder', ['id']),
  within('holder_attestation', ['holder', 'holder', 'log'], ['holder', 'about', 'thing']),
  ofLog('drill', ['id']),
  ofLog('drill_schedule', ['log']),
  ofLog('approval', ['id'], ['seal', 'requester_password']),
  within('approval_vote', ['approval', 'approval', 'log'], ['approval', 'person'], ['seal', 'password']),
  ofLog('signature', ['id']),
  ofLog('saved_question', ['id'], []),
  ofLog('review_plan', ['id']),
  ofLog('review', ['id']),
  ofLog('review_comment', ['id']),
  within('review_reading', ['review', 'review', 'log'], ['review', 'person']),
  ofLog('use_reporter', ['log', 'id']),
  ofLog('use_receipt', ['log', 'reporter', 'sequence']),
  ofLog('witnessing_policy', ['log']),
  ofLog('ledger_cosignature', ['log', 'size', 'cosigner'], []),
  ofLog('ledger_timestamp', ['log', 'size'], []),
  ofLog('ledger_redaction', ['log', 'position'], []),
  ofLog('ledger_payload', ['log', 'position'], []),
  ofLog('log_key', ['id'], ['wrapped_key']),
  ofLog('evidence', ['id']),
  within('evidence_part', ['evidence', 'evidence', 'log'], ['evidence', 'part'], []),
];

/** Tables that are not copied, and why. A table in neither list is a mistake, which a test shows. */
export const otherTables: Readonly<Record<string, string>> = {
  access_key: 'secrets of sign-in',
  authenticator: 'secrets of sign-in',
  catch_up: 'work of the installation',
  clock_source: 'of the installation',
  effect: 'work of the installation',
  head: 'the ledger/ folder has what it says',
  instance: 'of the installation',
  instance_root: 'of the installation',
  invitation: 'secrets of sign-in',
  job: 'work of the installation',
  key_export: 'wrapped keys on their way elsewhere',
  key_import: 'secrets on their way in',
  known_material: 'fingerprints of the whole installation',
  ledger_checkpoint: 'the ledger/ folder has the newest',
  ledger_entry: 'in the ledger/ folder',
  ledger_index: 'made from the entries',
  ledger_posting: 'made from the entries',
  ledger_projection: 'made from the entries',
  ledger_tile: 'in the ledger/ folder',
  ledger_tree: 'made from the entries',
  log: 'origin and payload key are in the package',
  migration: 'of the installation',
  root_permit: 'of the installation',
  root_replacement: 'of the installation',
  root_replacement_log: 'of the installation',
  session: 'secrets of sign-in',
  tenant_exit: 'the exit itself',
  tenant_exit_page: 'the exit itself',
  witnessing_cosigner: 'work of the installation',
  witnessing_progress: 'work of the installation',
};
