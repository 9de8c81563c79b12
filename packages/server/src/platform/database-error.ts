/** A statement that the database refused or could not carry out. */
export class DatabaseError extends Error {
  /** SQLite's extended result code; https://www.sqlite.org/rescode.html. */
  readonly sqliteCode: number;

  constructor(message: string, sqliteCode: number, cause?: unknown) {
    super(message, { cause });
    this.name = 'DatabaseError';
    this.sqliteCode = sqliteCode;
  }

  static from(error: unknown): DatabaseError {
    if (error instanceof DatabaseError) return error;
    return new DatabaseError((error as Error).message, (error as { errcode?: number }).errcode ?? 1, error);
  }

  get kind(): 'unique' | 'full' | 'damaged' | 'foreign' | 'other' {
    // SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY
    if (this.sqliteCode === 2067 || this.sqliteCode === 1555) return 'unique';
    const primary = this.sqliteCode & 0xff;
    if (primary === 13) return 'full';
    // SQLITE_IOERR_WRITE: what a full disk gives in the middle of a write-ahead log
    if (this.sqliteCode === 778) return 'full';
    if (primary === 11) return 'damaged';
    if (primary === 26) return 'foreign';
    return 'other';
  }
}
