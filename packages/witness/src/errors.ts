/** What the reader of an error sees: one sentence, and what to do about it. */
export interface ErrorText {
  readonly message: string;
  readonly fix: string;
}

/** Everything that keeps a witness or a mirror, or a command on its data directory, from doing its work. */
export const witnessErrors = {
  'witness.usage': {
    message: 'The command does not have the form that it takes.',
    fix: 'See the form with `trialkeep witness --help` or `trialkeep mirror --help`.',
  },
  'witness.data_not_empty': {
    message: 'The directory holds something already, and nothing of it was touched.',
    fix: 'Name an empty or a new directory.',
  },
  'witness.data_missing': {
    message: 'There is no witness or mirror here.',
    fix: 'Make one with `trialkeep witness init` or `trialkeep mirror init`, or name the right directory with --data.',
  },
  'witness.other_role': {
    message: 'The directory belongs to the other kind of process.',
    fix: 'Use `trialkeep witness` for the directory of a witness and `trialkeep mirror` for that of a mirror.',
  },
  'witness.data_unusable': {
    message: 'A file of the data directory cannot be read or written.',
    fix: 'Give the account that runs the process the ownership of the directory, and free space if the disk is full.',
  },
  'witness.in_use': {
    message: 'Another process is using this data directory.',
    fix: 'Stop that process, or wait for that command to end, or name another directory.',
  },
  'witness.state_foreign': {
    message: 'The state file is not a whole one of this version.',
    fix: 'Do not put an older copy in its place, which would let a log take back what was cosigned: make a new witness with a new name.',
  },
  'witness.file_malformed': {
    message: 'A file of the data directory does not have the form that this version reads.',
    fix: 'Correct the file that is named, or put its last good copy back.',
  },
  'witness.key_name': {
    message: 'The name cannot be that of a witness or a mirror.',
    fix: 'Use a schema-less URL of at most 255 bytes without spaces and plus signs, such as example.org/w1.',
  },
  'witness.passphrase_missing': {
    message: 'There is no passphrase file, or it is empty.',
    fix: 'Put the passphrase into the file that is named, mode 0600, or name the right one with --passphrase-file.',
  },
  'witness.passphrase_wrong': {
    message: 'The passphrase does not open the keys.',
    fix: 'Name the file with the passphrase that was there when the keys were made.',
  },
  'witness.secret_exposed': {
    message:
      'Other accounts of this machine can read or change a file that holds a secret, so it was not used.',
    fix: 'Run chmod 600 on it, and replace the secret if somebody may have read it.',
  },
  'witness.token_missing': {
    message: 'There is no file with tokens for those who read the copy, or none of its lines is a token.',
    fix: 'Put one token a line into the file that is named, 32 to 200 letters, digits, dashes and underscores each, mode 0600.',
  },
  'witness.log_key': {
    message: 'A verifier key is not one that a log signs checkpoints with.',
    fix: 'Copy the whole line of the verifier key again, Ed25519 or ML-DSA-44, from whoever runs the log.',
  },
  'witness.log_unknown': {
    message: 'No log of that origin, or no such key of it, is configured.',
    fix: 'Run `log list` and use an origin or a key of it.',
  },
  'witness.address_refused': {
    message: 'The process cannot listen there.',
    fix: 'Listen on 127.0.0.1; elsewhere give --tls-certificate and --tls-key, or say --behind-tls-proxy where a proxy terminates TLS.',
  },
  'witness.port_in_use': {
    message: 'Another process listens on this port.',
    fix: 'Choose another port with --port.',
  },
  'witness.tls_unusable': {
    message: 'The TLS certificate or its key cannot be used.',
    fix: 'Give the certificate with its chain and the private key that belongs to it, both in PEM.',
  },
  'witness.copy_damaged': {
    message: 'The files of the copy are not those that were verified and stored.',
    fix: 'Keep the folder for the investigation, and check the disk; then mirror the log into a new directory.',
  },
  'witness.unexpected': {
    message: 'Something unexpected happened.',
    fix: 'See the log; report it if it happens again.',
  },
} as const satisfies Record<string, ErrorText>;
export type WitnessErrorCode = keyof typeof witnessErrors;

/** An error of the process or of a command on its data directory. `code` is stable. Carries no secret. */
export class WitnessError extends Error {
  readonly code: WitnessErrorCode;
  readonly fix: string;

  /** @param detail what exactly was wrong: a path, a place */
  constructor(code: WitnessErrorCode, detail?: string, cause?: unknown) {
    const { message, fix } = witnessErrors[code];
    super(detail === undefined ? message : `${message} (${detail})`, { cause });
    this.name = 'WitnessError';
    this.code = code;
    this.fix = fix;
  }
}
