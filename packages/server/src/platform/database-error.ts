type Kind = 'unique' | 'full' | 'busy' | 'unavailable' | 'unconfirmed' | 'damaged' | 'foreign' | 'other';

/** A statement that the database refused or could not carry out. It never carries the statement's parameters. */
export class DatabaseError extends Error {
  /**
   * SQLite's extended result code, a number (https://www.sqlite.org/rescode.html), or a SQLSTATE, five characters
   * (PostgreSQL, appendix A).
   */
  readonly code: number | string;

  constructor(message: string, code: number | string, cause?: unknown) {
    super(message, { cause });
    this.name = 'DatabaseError';
    this.code = code;
  }

  static from(error: unknown): DatabaseError {
    if (error instanceof DatabaseError) return error;
    return new DatabaseError((error as Error).message, (error as { errcode?: number }).errcode ?? 1, error);
  }

  /**
   * `busy` and `unavailable`: nothing was committed, and it may be tried again. `unconfirmed`: whether it was committed is
   * unknown, and the result must be discarded.
   */
  get kind(): Kind {
    return typeof this.code === 'number' ? sqliteKind(this.code) : postgresKind(this.code);
  }
}

function sqliteKind(code: number): Kind {
  // SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY
  if (code === 2067 || code === 1555) return 'unique';
  // SQLITE_IOERR_WRITE: what a full disk gives in the middle of a write-ahead log
  if (code === 778) return 'full';
  const primary: Record<number, Kind> = { 5: 'busy', 11: 'damaged', 13: 'full', 26: 'foreign' };
  return primary[code & 0xff] ?? 'other';
}

const bySqlState: Record<string, Kind> = {
  '23505': 'unique',
  '53100': 'full',
  // lock_timeout, serialization failure, deadlock, statement_timeout
  '55P03': 'busy',
  '40001': 'busy',
  '40P01': 'busy',
  '57014': 'busy',
  // a prepared statement that the migration of a newer node has outdated
  '0A000': 'busy',
  // too many connections, here or at the server
  '53300': 'busy',
  // a standby takes no writes; idle in a transaction for too long
  '25006': 'unavailable',
  '25P03': 'unavailable',
  // the standard's "transaction resolution unknown"
  '08007': 'unconfirmed',
  XX001: 'damaged',
  XX002: 'damaged',
};

function postgresKind(sqlState: string): Kind {
  const known = bySqlState[sqlState];
  if (known !== undefined) return known;
  // connection exceptions, and the server's own shutdown, crash and start
  return /^(08|57P0)/.test(sqlState) ? 'unavailable' : 'other';
}
