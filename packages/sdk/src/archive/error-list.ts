import type { ErrorText } from '../error-list.ts';

/** Errors of archives of a ledger. */
export const archiveErrors = {
  'archive.altered': {
    message: 'What lies in the archive is not what was put there.',
    fix: 'Treat it as an incident: keep the archive as it is, verify it with `trialkeep verify`, and begin a new one in another place.',
  },
  'archive.busy': {
    message: 'Somebody else writes to the archive, which is further by now.',
    fix: 'Let one process archive a log to one place, and run it again.',
  },
  'archive.key_unknown': {
    message: 'No key that is known of this log has signed the checkpoint.',
    fix: 'Pass the keys of the log with --key, from a trusted place; after a rotation those of before as well, which the archive was made with.',
  },
  'archive.not_verified': {
    message:
      'What the server sent does not continue what the archive holds, or does not fit its own checkpoint.',
    fix: 'Treat it as an incident: keep the archive, and compare with a mirror or a witness; a restored older database does this too.',
  },
  'archive.pruned': {
    message: 'The server no longer has the entries that come next in this archive.',
    fix: 'Go on with an archive that has them, or copy such a one here first.',
  },
  'archive.unreadable': {
    message: 'The archive cannot be read.',
    fix: 'Check the name, the permissions, the credentials of the store and the connection to it.',
  },
  'archive.unwritable': {
    message: 'The archive cannot be written; what it had is as it was, and the next run goes on.',
    fix: 'Check permissions, free space, the credentials of the store and the connection to it, and run it again.',
  },
  'entry.malformed': {
    message: 'An entry of the ledger does not have the form of one.',
    fix: 'Use the version of Trialkeep that wrote it, or a later one; verify the ledger with `trialkeep verify`.',
  },
  'answer.unreadable': {
    message: 'The answer cannot be read.',
    fix: 'Check the path and its permissions.',
  },
  'answer.malformed': {
    message: 'The file is not an answer of the ledger, or not one of this version.',
    fix: 'Take the file as `trialkeep ledger ask --out` wrote it, without any change.',
  },
  'answer.changed': {
    message: 'The pages of the answer do not belong together: the server archived entries meanwhile.',
    fix: 'Ask again.',
  },
} as const satisfies Record<string, ErrorText>;
