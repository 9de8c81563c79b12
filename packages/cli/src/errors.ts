/** What the reader of an error sees: one sentence, and what to do about it. */
export interface ErrorText {
  readonly message: string;
  readonly fix: string;
}

/** Every error that arises in the command itself. Codes are stable; sentences may improve. */
export const cliErrors = {
  'cli.usage': {
    message: 'The command does not have the form that it takes.',
    fix: 'See the form with --help.',
  },
  'cli.node_missing': {
    message: 'There is no Node.js to run Trialkeep on.',
    fix: 'Run npm ci where Trialkeep is installed, without leaving optional dependencies out, or install Node 24.',
  },
  'cli.node_version': {
    message: 'Trialkeep runs on Node 24, and this is another version.',
    fix: 'Run npm ci where Trialkeep is installed, without leaving optional dependencies out, or install Node 24.',
  },
  'cli.start_foreign': {
    message: 'The installation was not made by `trialkeep start`, so its administrator is not known.',
    fix: 'Name another directory with --data; to run this installation, use `trialkeep server`.',
  },
  'cli.no_credential': {
    message: 'The command does not know which server to ask, or under which credential.',
    fix: 'Name a profile with --profile, make one called default, or set TRIALKEEP_URL and TRIALKEEP_CREDENTIAL.',
  },
  'cli.profile_unknown': {
    message: 'There is no such profile.',
    fix: 'Name one that is in the profile file, or save one with --save-profile when a credential is issued.',
  },
  'cli.profile_name': {
    message: 'The name cannot be that of a profile.',
    fix: 'Use 1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or a digit.',
  },
  'cli.profile_exists': {
    message: 'There is a profile of that name, and it was not touched.',
    fix: 'Choose another name, or take the old profile out of the file first.',
  },
  'cli.profile_exposed': {
    message: 'Other accounts of this machine can read or change the profile file, so it was not used.',
    fix: 'Run chmod 600 on it, and have its credentials replaced if somebody may have read them.',
  },
  'cli.profile_foreign': {
    message: 'The profile file belongs to another account, or is not a regular file, so it was not used.',
    fix: 'Make the file your own, or run the command as the account that owns it.',
  },
  'cli.profile_malformed': {
    message: 'The profile file does not have the form of one.',
    fix: 'Correct it: {"profiles":{"NAME":{"url":"https://…","credential":"…"}}}; a session has "sessionUntil" beside them.',
  },
  'cli.profile_unreadable': {
    message: 'The profile file cannot be read.',
    fix: 'Check the permissions of the file and its folder.',
  },
  'cli.profile_unwritable': {
    message: 'The profile file cannot be written.',
    fix: 'Check the permissions of its folder and the space on the disk.',
  },
  'cli.profile_busy': {
    message: 'Another command is writing the profile file.',
    fix: 'Try again when it is done; if none runs, remove the file that is named.',
  },
  'cli.input_unreadable': {
    message: 'The input cannot be read.',
    fix: 'Check the path and its permissions.',
  },
  'cli.input_too_large': {
    message: 'The input is larger than the command takes.',
    fix: 'Encrypt takes at most 65,536 bytes; use `trialkeep seal` for anything larger.',
  },
  'cli.input_empty': {
    message: 'Standard input was empty.',
    fix: 'Pipe or redirect the input into the command.',
  },
  'cli.not_authentic': {
    message: 'It is not valid: message, key and version do not belong together, or something was altered.',
    fix: 'Check the bytes of the message, and which version of the key made it.',
  },
  'cli.input_invalid': {
    message: 'The input does not have the form that the command reads.',
    fix: 'See the form with --help.',
  },
  'cli.not_confirmed': {
    message: 'Nothing was decided.',
    fix: 'Look at the request, and run the command again if you want to decide.',
  },
  'cli.confirmation_needed': {
    message:
      'Nobody is at a terminal to look at the request and confirm the decision, so nothing was decided.',
    fix: 'Run the command on a terminal, or give --yes once you have seen the request with `trialkeep approval show`.',
  },
  'cli.passwords_differ': {
    message: 'The two passwords are not the same, so nothing was set.',
    fix: 'Run the command again, and enter the same password twice.',
  },
  'cli.passphrases_differ': {
    message: 'The two passphrases are not the same, so nothing was made.',
    fix: 'Run the command again, and enter the same passphrase twice.',
  },
  'cli.ceremony_terminal': {
    message: 'Shares are shown on a terminal and nowhere else, and there is none.',
    fix: 'Hold the ceremony at a terminal, or have the shares written to files with --shares-dir, best sealed with --recipient.',
  },
  'cli.ceremony_abandoned': {
    message:
      'The ceremony was abandoned, and nothing was made or changed: the shares that were shown are worth nothing.',
    fix: 'Destroy what was written down, and begin again.',
  },
  'cli.ceremony_people': {
    message: 'There is not one custodian for each share.',
    fix: 'Name each once with --custodian, and with --recipient where shares are sealed, in the order of the shares.',
  },
  'cli.shares_file': {
    message: 'The file of a share could not be written, and nothing was made or changed.',
    fix: 'Name a new or an empty folder on what the custodians will carry away.',
  },
  'cli.unseal_address': {
    message: 'A share would cross a network unprotected, or the address is none.',
    fix: 'Give the share on the machine of the server (http on 127.0.0.1), or over https.',
  },
  'cli.unseal_unreachable': {
    message: 'The server does not answer.',
    fix: 'Check the address, and that the server runs; a share that was given before is still there.',
  },
  'cli.output_failed': {
    message: 'The result could not be written to standard output.',
    fix: 'Check the space where the output goes, and run the command again.',
  },
  'cli.interrupted': {
    message: 'The command was interrupted; nothing is left half-done.',
    fix: 'Run it again.',
  },
  'cli.some_failed': {
    message: 'Some of the files failed; the others are done.',
    fix: 'See the error of each file, and repeat the command for those.',
  },
  'cli.server_missing': {
    message: 'The server is not installed beside this command.',
    fix: 'Install @trialkeep/server, or run the command where it is.',
  },
  'cli.secure_heap': {
    message: 'TRIALKEEP_SECURE_HEAP_MIB is not a size that OpenSSL takes.',
    fix: 'Give a power of two up to 4096, or leave it unset (docs/how-to/memory-of-the-server.md).',
  },
  'cli.server_failed': {
    message: 'The server process ended without saying why.',
    fix: 'See its log above; repeat the command, and report it if it happens again.',
  },
  'cli.witness_missing': {
    message: 'The witness and the mirror are not installed beside this command.',
    fix: 'Install @trialkeep/witness, or run the command where it is.',
  },
  'cli.unexpected': {
    message: 'Something unexpected kept the command from finishing.',
    fix: 'Report it, with the command and the message.',
  },
} as const satisfies Record<string, ErrorText>;
export type CliErrorCode = keyof typeof cliErrors;

/** An error of the command itself. `path` is the file concerned, `exitStatus` what the process ends with. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;
  readonly fix: string;
  readonly path: string | undefined;
  readonly exitStatus: number;

  constructor(
    code: CliErrorCode,
    more: { detail?: string; fix?: string; path?: string; exitStatus?: number; cause?: unknown } = {},
  ) {
    const { message, fix } = cliErrors[code];
    super(more.detail === undefined ? message : `${message} (${more.detail})`, { cause: more.cause });
    this.code = code;
    this.fix = more.fix ?? fix;
    this.path = more.path;
    this.exitStatus = more.exitStatus ?? (code === 'cli.usage' ? 2 : 1);
  }
}
