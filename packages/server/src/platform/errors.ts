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
  'process.revealing_options': {
    message:
      'Node was started with options that open the memory of the server to others, or write it to files.',
    fix: 'Take them out of the command and of NODE_OPTIONS; docs/how-to/memory-of-the-server.md says what they reveal.',
  },
  'process.observed': {
    message: 'Others are reading the memory of the server, and the regulated profile opens no keys there.',
    fix: 'End the debugger, and find out who started it.',
  },
  'process.fips_required': {
    message: 'The configuration requires a FIPS provider, and none is active.',
    fix: 'Run a Node with such a provider in OPENSSL_CONF (docs/decisions/0002-cryptographic-modules.md), or set fips to off.',
  },
  'root.passphrase_missing': {
    message: 'The passphrase of the root of trust is not there.',
    fix: 'Put it back as passphrase (mode 0600) in the folder of the root; the root that is started with may have it in the file that TRIALKEEP_PASSPHRASE_FILE names.',
  },
  'root.passphrase_exposed': {
    message: 'Other accounts of this machine can read the passphrase of the root of trust.',
    fix: 'Run chmod 600 on the passphrase file; make a new root of trust if somebody may have read it.',
  },
  'root.passphrase_wrong': {
    message: 'The passphrase does not open this root of trust.',
    fix: 'Give the passphrase that was made together with this data directory.',
  },
  'root.epoch_missing': {
    message: 'This node has not the key of an epoch that the store of keys to forget is under.',
    fix: 'Let all nodes share one folder of epoch keys (TRIALKEEP_EPOCH_FOLDER, docs/how-to/erase-a-subject.md), and put its files there.',
  },
  'root.epoch_other': {
    message: 'This node has another key than the store of keys to forget under the number of an epoch.',
    fix: 'Let all nodes share one folder of epoch keys (TRIALKEEP_EPOCH_FOLDER, docs/how-to/run-on-postgresql.md): the one whose files have the key that is named. Remove none before all nodes run.',
  },
  'root.epochs_present': {
    message: 'The folder of epoch keys has those of an installation already, and nothing of it was touched.',
    fix: 'Let TRIALKEEP_EPOCH_FOLDER name an empty folder for a new installation; remove the files there only if an interrupted `trialkeep self init` left them.',
  },
  'root.epochs_shared': {
    message: 'Two roots of trust would have their epoch keys in one folder.',
    fix: 'Put the folder that is named after the id of the stand-by back into that of TRIALKEEP_EPOCH_FOLDER, or retire the stand-by (docs/how-to/root-of-trust.md).',
  },
  'root.unreachable': {
    message: 'The module that holds the root of trust does not answer.',
    fix: 'Bring it back (network, token, service), or start with the stand-by root (docs/how-to/root-of-trust.md).',
  },
  'root.refused': {
    message:
      'The module that holds the root of trust refused the PIN, the credentials or the use of the key.',
    fix: 'Correct the PIN file or the credentials before the next attempt, for modules lock after a few; see what the module logged.',
  },
  'root.key_gone': {
    message: 'The module answers, but has no longer the key of the root of trust, or it is disabled.',
    fix: 'Restore the key from the backup of the module, or start with the stand-by root (docs/how-to/root-of-trust.md).',
  },
  'root.wrong': {
    message: 'This root of trust did not wrap that key for its place, or the wrapped key was altered.',
    fix: 'Give the root that belongs to this data directory; `trialkeep self root show` names it.',
  },
  'root.failed': {
    message: 'The module that holds the root of trust could not do what it was asked.',
    fix: 'See its answer and its log; `trialkeep self root check` asks it again.',
  },
  'root.unsuitable': {
    message: 'The key that is named there cannot be a root of trust.',
    fix: 'Name an enabled key of the right kind without an end of its own (docs/how-to/root-in-a-cloud-kms.md).',
  },
  'root.software_missing': {
    message: 'The library that speaks to this kind of module is not installed.',
    fix: 'Install it as docs/how-to/root-of-trust.md says, for pkcs11js with a compiler: npm rebuild pkcs11js.',
  },
  'root.pin_missing': {
    message: 'The PIN of the token that holds the root of trust is not there.',
    fix: 'Put it into the file that root.json names (mode 0600); where it names none, into pin in the folder of the root, or the file that TRIALKEEP_PIN_FILE names for the root that is started with.',
  },
  'root.pin_exposed': {
    message: 'Other accounts of this machine can read the PIN of the token.',
    fix: 'Run chmod 600 on the PIN file; change the PIN if somebody may have read it.',
  },
  'root.behind': {
    message: 'The root of trust does not have exactly the epoch keys that there are.',
    fix: 'Let both roots answer: run `trialkeep self root add-standby` for its folder again.',
  },
  'root.in_recovery': {
    message: 'Roots of trust are not changed while the database is in recovery.',
    fix: 'Bring the database in line first (docs/how-to/recover-from-a-mirror.md).',
  },
  'root.in_use': {
    message: 'The root of trust is the active one, and is not retired.',
    fix: 'Make another one active with `trialkeep self root activate`, then retire this one.',
  },
  'root.retired': {
    message: 'This root of trust was retired, and nothing is wrapped under it any more.',
    fix: 'Start with the active root; `trialkeep self root show` names it.',
  },
  'root.not_permitted': {
    message:
      'Changes of roots of trust need the approval of two people here, and there is no permit for this one.',
    fix: 'Ask for one with trialkeep root-permit ask, have it approved, and make the change within three days; in an emergency, --break-glass (docs/how-to/root-of-trust.md).',
  },
  'root.replacing': {
    message: 'A replacement of the root of trust was begun and not ended.',
    fix: 'Run trialkeep self root replace again, with the same folder (docs/how-to/root-of-trust.md).',
  },
  'root.replacement_refused': {
    message: 'The root of trust cannot be replaced while the database is not what the ledger says.',
    fix: 'Find out who changed it, and restore (docs/formats/self-backup.md); what is sealed anew would count as right.',
  },
  'root.replacement_disturbed': {
    message:
      'Something else changed the installation while its root of trust was replaced; nothing was replaced.',
    fix: 'Stop every node, and run the command again.',
  },
  'root.replacement_unknown': {
    message:
      'The database has seals or wrapped keys that this release does not know how to renew; nothing was replaced.',
    fix: 'Use the release that the database was last opened with.',
  },
  'root.sealed': {
    message: 'The root of trust is sealed: its shares were not given to this process.',
    fix: 'Have the custodians give their shares: to a server with `trialkeep unseal`, to a command on its standard input (docs/how-to/key-ceremony.md).',
  },
  'root.shares_refused': {
    message: 'The shares do not open this root of trust.',
    fix: 'Give as many different shares of the present set as are needed; the minutes of the ceremony have the fingerprint of each.',
  },
  'root.ceremony_needed': {
    message: 'A root of trust in shares is made in a key ceremony and in no other way.',
    fix: 'Run `trialkeep ceremony new` (docs/how-to/key-ceremony.md).',
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
  'server.proxies_invalid': {
    message: 'The proxies whose word counts for where requests come from are not what the server reads.',
    fix: 'Set TRIALKEEP_TRUSTED_PROXIES to IP addresses and networks such as 127.0.0.1,10.1.2.0/24, or leave it out.',
  },
  'server.aws_kms_hosts_invalid': {
    message: 'The names under which the AWS KMS protocol is served are not what the server reads.',
    fix: 'Set TRIALKEEP_AWS_KMS_HOSTS to host names without ports such as trialkeep.example.org,10.1.2.3, or leave it out.',
  },
  'server.drain_invalid': {
    message:
      'The time for which the server goes on answering when it is told to stop is not one that it reads.',
    fix: 'Set TRIALKEEP_DRAIN_SECONDS to a whole number from 0 to 300, or leave it out.',
  },
  'server.address_refused': {
    message: 'The server cannot listen on that address.',
    fix: 'The evaluation profile speaks plain HTTP and listens on loopback only: use --host 127.0.0.1.',
  },
  'metrics.listen_invalid': {
    message: 'The address for metrics is not one that the server reads.',
    fix: 'Set TRIALKEEP_METRICS_LISTEN to an IP address and a port, such as 127.0.0.1:9464, or leave it out.',
  },
  'traces.settings_invalid': {
    message: 'The settings for traces are not what the server reads.',
    fix: 'Set TRIALKEEP_TRACES_URL to the base URL of a collector, https or on this machine, and TRIALKEEP_TRACES_RATIO to a share such as 0.1, or leave both out.',
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
  'restore.root_unconfirmed': {
    message: 'Nobody vouches for the root.json of the backup, which says what is loaded or asked.',
    fix: 'Put your own copy of root.json in that place and restore again; one from the backup only once you have read it.',
  },
  'restore.root_elsewhere': {
    message: 'The configuration of the backup names a root of trust outside of the data directory.',
    fix: 'Put your own trialkeep.json into the data directory, or name that folder in TRIALKEEP_ROOT, and restore again.',
  },
  'ceremony.no_minutes': {
    message: 'The new set of shares IS in force; only the minutes of its ceremony could not be written.',
    fix: 'Keep the new shares: the root of trust opens with them and no others. Put right what is said here, write down what was done, and hold `trialkeep ceremony test`, which leaves minutes. After `new`, whose credential is lost, move the data directory away and hold it again.',
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
  /** What the message says beyond the sentence of its code. */
  readonly detail: string | undefined;

  constructor(code: StartupErrorCode, detail?: string, cause?: unknown) {
    const message = startupErrors[code].message;
    super(detail === undefined ? message : `${message} ${detail}`, { cause });
    this.name = 'StartupError';
    this.code = code;
    this.detail = detail;
  }
}
