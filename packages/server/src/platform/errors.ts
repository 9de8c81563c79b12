import type { ErrorBody, ErrorCode } from '@trialkeep/contract';
import { errors } from '@trialkeep/contract';

/** Longest pointer to a wrong input that an answer and a payload carry, characters: its parts may be the caller's. */
export const maxFieldLength = 200;

/** What a service throws when it refuses or cannot do what was asked; `http.ts` gives it its status. */
export class OperationError extends Error {
  readonly code: ErrorCode;
  /** JSON pointer of the input that is wrong. */
  readonly field: string | undefined;
  /** With `approval.needed`: the id of the request that is kept. */
  readonly approval: string | undefined;
  /** With `signature.needed`: what is to be signed. */
  readonly signature: ErrorBody['error']['signature'];

  constructor(code: ErrorCode, options: OperationErrorOptions = {}) {
    const message = errors[code].message;
    super(options.detail === undefined ? message : `${message} ${options.detail}`, { cause: options.cause });
    this.name = 'OperationError';
    this.code = code;
    this.field = options.field?.slice(0, maxFieldLength);
    this.approval = options.approval;
    this.signature = options.signature;
  }
}

interface OperationErrorOptions {
  readonly field?: string;
  readonly detail?: string;
  readonly cause?: unknown;
  readonly approval?: string;
  readonly signature?: NonNullable<ErrorBody['error']['signature']>;
}

/** Everything that keeps the server, or a command on its data directory, from starting. */
export const startupErrors = {
  'data.missing': {
    message: 'There is no Trialkeep data directory here.',
    fix: 'Make one with `trialkeep self init`, or name the right directory with --data or TRIALKEEP_DATA.',
  },
  'data.not_empty': {
    message: 'The directory holds something already, and nothing of it was touched.',
    fix: 'Name an empty or a new directory.',
  },
  'data.in_use': {
    message: 'Another process is using this data directory.',
    fix: 'Stop that server, or wait for that command to end, or name another directory.',
  },
  'data.unreadable': {
    message: 'A file of the data directory cannot be read or written.',
    fix: 'Give the account that runs Trialkeep the ownership of the data directory, and free space if the disk is full.',
  },
  'mirror.address': {
    message: 'The address is not that of a mirror.',
    fix: 'Give its monitoring prefix, an https URL without user, query or fragment; http is for this machine.',
  },
  'mirror.unreachable': {
    message: 'The mirror cannot be read.',
    fix: 'Check address, certificate and token, and that the mirror runs; then run the same command again.',
  },
  'mirror.contradiction': {
    message: "The mirror's log is not a continuation of the one in the database.",
    fix: 'Treat it as an incident: keep both, and compare them with a third copy before either is used.',
  },
  'config.invalid': {
    message: 'The configuration file is not what this version of Trialkeep reads.',
    fix: 'Correct the field that is named in trialkeep.json, or restore the file from the last self-backup.',
  },
  'config.key_literal': {
    message: 'The configuration holds something that looks like a key or a secret.',
    fix: 'Keep keys and secrets out of configuration: remove the value, and replace the key if it was real.',
  },
  'profile.regulated': {
    message: 'The regulated profile refuses this configuration.',
    fix: 'Give it what it names (docs/decisions/0002-cryptographic-modules.md), or run the evaluation profile.',
  },
  'profile.promotion': {
    message: 'A data directory made under one profile cannot be used under another.',
    fix: 'Make a new data directory with `trialkeep self init` under the profile that you want.',
  },
  'root.passphrase_missing': {
    message: 'The passphrase of the root of trust is not there.',
    fix: 'Put it back as root/passphrase (mode 0600) in the data directory, or in the file that TRIALKEEP_PASSPHRASE_FILE names.',
  },
  'root.passphrase_exposed': {
    message: 'Other accounts of this machine can read the passphrase of the root of trust.',
    fix: 'Run chmod 600 on the passphrase file; make a new root of trust if somebody may have read it.',
  },
  'root.passphrase_wrong': {
    message: 'The passphrase does not open this root of trust.',
    fix: 'Give the passphrase that was made together with this data directory.',
  },
  'database.missing': {
    message: 'The data directory has no database.',
    fix: 'Restore it with `trialkeep self restore`; Trialkeep never makes an empty one in place of a lost one.',
  },
  'database.foreign': {
    message: 'The database file was not made by Trialkeep.',
    fix: 'Put the right file back, or restore with `trialkeep self restore`.',
  },
  'database.empty': {
    message: 'The database server has no such database, or it is empty.',
    fix: 'Name the databases that `trialkeep self init` filled, or restore them; Trialkeep never makes an empty one in place of a lost one.',
  },
  'database.not_empty': {
    message: 'The database that is to be filled holds something already, and nothing of it was touched.',
    fix: 'Name an empty database; drop and make anew one that an interrupted `trialkeep self init` has left.',
  },
  'database.other_installation': {
    message: 'The main database and the shred store do not belong together.',
    fix: 'Let TRIALKEEP_DATABASE and TRIALKEEP_SHRED_DATABASE name the two databases of this installation.',
  },
  'database.location_missing': {
    message: 'The data directory has no database of its own, and no other is named.',
    fix: 'Set TRIALKEEP_DATABASE and TRIALKEEP_SHRED_DATABASE if it uses PostgreSQL (docs/how-to/run-on-postgresql.md); otherwise restore it with `trialkeep self restore`.',
  },
  'database.url_invalid': {
    message: 'The location of a database is not one that Trialkeep reads.',
    fix: 'Write it as postgresql://USER@HOST:PORT/NAME (docs/how-to/run-on-postgresql.md).',
  },
  'database.url_password': {
    message: 'The location of a database holds a password.',
    fix: 'Take it out and replace it, for URLs are logged and listed; name a password file with PGPASSFILE, or use a certificate or peer authentication.',
  },
  'database.url_insecure': {
    message: 'The way to the database server crosses a network without proof of who answers.',
    fix: 'Add sslmode=verify-full, and sslrootcert= with the authority that signed the server’s certificate; or use a socket or loopback.',
  },
  'database.unreachable': {
    message: 'The database server cannot be reached.',
    fix: 'Start it, or correct the location and the network between.',
  },
  'database.login_refused': {
    message: 'The database server refused the login or a right.',
    fix: 'Give the account its password file (PGPASSFILE, mode 0600) or certificate, and the ownership of both databases.',
  },
  'database.settings': {
    message: 'The database server is not one that keeps what it has confirmed.',
    fix: 'Change the settings that are named (docs/how-to/run-on-postgresql.md).',
  },
  'database.failed': {
    message: 'The database server could not carry out what opening needs.',
    fix: 'See its answer and its log.',
  },
  'database.damaged': {
    message: 'The database file is damaged or only half there.',
    fix: 'Restore it with `trialkeep self restore`.',
  },
  'database.newer': {
    message: 'The database was written by a newer version of Trialkeep.',
    fix: 'Run that version or a later one.',
  },
  'database.altered': {
    message: 'A row of the database does not carry the seal that Trialkeep wrote with it.',
    fix: 'Somebody changed the database behind the server: treat it as an incident, and restore a backup.',
  },
  'server.port_in_use': {
    message: 'Another program listens on that port.',
    fix: 'Choose another port with --port, or stop the other program.',
  },
  'server.address_refused': {
    message: 'The server cannot listen on that address.',
    fix: 'The evaluation profile speaks plain HTTP and listens on loopback only: use --host 127.0.0.1.',
  },
  'backup.postgresql': {
    message: 'An installation on PostgreSQL is backed up and restored by PostgreSQL’s own tools.',
    fix: 'Follow docs/how-to/run-on-postgresql.md: base backups with archived log, and the shred store apart.',
  },
  'backup.target_not_empty': {
    message: 'The backup folder holds something already, and nothing of it was touched.',
    fix: 'Name a new or an empty folder.',
  },
  'backup.damaged': {
    message: 'The backup is incomplete or was altered; nothing was restored.',
    fix: 'Use another copy of the backup.',
  },
  'backup.missing': {
    message: 'There is no Trialkeep backup in that folder.',
    fix: 'Name the folder that `trialkeep self backup` wrote.',
  },
  'restore.target_not_empty': {
    message: 'The data directory has a database already, or a part of one, and nothing of it was touched.',
    fix: 'Move the `state` folder of the data directory away first, or name another directory.',
  },
  'restore.other_root': {
    message: 'The data directory has another root of trust than the backup, and nothing was restored.',
    fix: 'Use a backup of this installation, or restore into another directory.',
  },
  'usage.invalid': {
    message: 'The command does not have the form that it takes.',
    fix: 'Use the `trialkeep` command; it shows the form with --help.',
  },
  'startup.unexpected': {
    message: 'Something unexpected kept the command from finishing.',
    fix: 'See the message and the server log, and report it.',
  },
} as const satisfies Record<string, { message: string; fix: string }>;
export type StartupErrorCode = keyof typeof startupErrors;

/** Thrown before the server answers requests; `main.ts` prints it and ends with a non-zero status. */
export class StartupError extends Error {
  readonly code: StartupErrorCode;

  constructor(code: StartupErrorCode, detail?: string, cause?: unknown) {
    const message = startupErrors[code].message;
    super(detail === undefined ? message : `${message} ${detail}`, { cause });
    this.name = 'StartupError';
    this.code = code;
  }
}
