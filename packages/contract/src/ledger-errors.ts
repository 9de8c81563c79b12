import type { ErrorDefinition } from './error-definition.ts';

/** What the ledger answers, and everything that is asked of it: proofs, questions, documents, reviews, witnesses, timestamps. */
export const ledgerErrors = {
  'entry.unknown': {
    status: 404,
    message: 'The ledger has no entry with that id.',
    fix: 'Take the id from an entry of this ledger; pruned ones are in its archive.',
  },
  'payload.withheld': {
    status: 410,
    message: 'The payload of this entry is missing although nothing records its erasure.',
    fix: 'Report it to the security officer: somebody removed it from the database.',
  },
  'payload.erased': {
    status: 410,
    message: "The payload lies under a participant's key that was destroyed.",
    fix: 'Nothing brings it back; the entry itself and its proofs remain.',
  },
  'question.unknown': {
    status: 404,
    message: 'There is no saved question of that id.',
    fix: 'List the saved questions, and name one of them.',
  },
  'question.exists': {
    status: 409,
    message: 'A question is saved under that name already.',
    fix: 'Choose another name, or remove the other question first.',
  },
  'question.too_many': {
    status: 409,
    message: 'As many questions are saved as are kept.',
    fix: 'Remove one that nobody asks any more.',
  },
  'question.foreign': {
    status: 403,
    message: 'The question was saved by somebody else.',
    fix: 'Ask its owner, or somebody who manages people, to remove it.',
  },
  'question.times': {
    status: 400,
    message:
      'The times of the question contain nothing: the end does not lie behind the beginning, or a period stands beside them.',
    fix: 'Give a beginning before the end, or a period alone.',
  },
  'question.too_long': {
    status: 409,
    message: 'The answer has more entries than one document holds.',
    fix: 'Ask in parts, such as one month at a time.',
  },
  'question.indexing': {
    status: 503,
    message:
      'The index of the ledger is being made anew and has not come to any checkpoint that the answer could be bound to.',
    fix: 'Try again later; the ledger itself can be exported and scanned meanwhile.',
    state: 'try-again',
  },
  'evidence.unknown': {
    status: 404,
    message: 'There is no such evidence document.',
    fix: 'List the documents with `trialkeep evidence list`, and use the id of one.',
  },
  'evidence.not_covered': {
    status: 503,
    message: 'No checkpoint covers the entry of the evidence document yet.',
    fix: 'Try again in a few seconds.',
    state: 'try-again',
  },
  'evidence.not_erased': {
    status: 409,
    message: 'The key of this subject has not been destroyed, so there is nothing to certify.',
    fix: 'Follow the request for erasure with `trialkeep approval show`; make the certificate once it has run.',
  },
  'checkpoint.unknown': {
    status: 404,
    message: 'The log has no checkpoint of that size.',
    fix: 'Leave the size out for an answer as of now, or name the size of a checkpoint that the server has signed.',
  },
  'payload.redacted': {
    status: 410,
    message: 'The payload was removed after people approved that; the ledger says who and when.',
    fix: 'Nothing brings it back; the entry itself and its proofs remain, and the entry of the redaction says why.',
  },
  'payload.kept': {
    status: 409,
    message: 'The payload says why something was erased or redacted, and stays.',
    fix: 'Leave it out of the request.',
  },
  'review.plan_unknown': {
    status: 404,
    message: 'There is no such plan of reviews.',
    fix: 'List the plans with `trialkeep review plans`, and use the id of one.',
  },
  'review.plan_exists': {
    status: 409,
    message: 'A plan of that name exists.',
    fix: 'Change the existing plan, or choose another name.',
  },
  'review.plan_ended': {
    status: 409,
    message: 'The plan has ended.',
    fix: 'Make a new plan that begins where the last review of this one ends.',
  },
  'review.unknown': {
    status: 404,
    message: 'There is no such review.',
    fix: 'List the reviews and use the id of one.',
  },
  'review.range': {
    status: 400,
    message: 'The log has no entry at the place where the reviews are to begin.',
    fix: 'Name a place that is neither archived nor ahead of the log, or none: the reviews then begin with the plan.',
  },
  'review.nothing_new': {
    status: 409,
    message: 'Another review of the plan covers everything up to now.',
    fix: 'Work on that one; list the reviews of the plan.',
  },
  'review.closed': {
    status: 409,
    message: 'The review is closed, and stays as it was signed.',
    fix: 'Say what is still to be said in the next review of the plan.',
  },
  'review.not_closed': {
    status: 409,
    message: 'The review is not closed yet.',
    fix: 'Make the document once its reviewer has signed the record.',
  },
  'review.not_reviewer': {
    status: 403,
    message: 'The plan calls other people to review.',
    fix: 'Ask one of them, or have the plan changed before its next review.',
  },
  'review.own_plan': {
    status: 403,
    message: 'Nobody closes a review that they planned, changed or opened themselves.',
    fix: 'Ask another reviewer.',
  },
  'review.out_of_order': {
    status: 409,
    message: 'The page begins behind what you have been shown so far.',
    fix: 'Ask for the pages in order, each from the `next` of the one before.',
  },
  'review.entry_foreign': {
    status: 400,
    message: 'The entry is not one that this review is about.',
    fix: 'Name entries that `trialkeep review entries` shows.',
  },
  'review.own_entry': {
    status: 409,
    message: 'An entry is of your own doing, and the review does not say so.',
    fix: 'Comment on your own entries with `--own`; under high risk have another reviewer comment on them.',
  },
  'review.follow_up': {
    status: 400,
    message: 'A questioned entry has a follow-up, and nothing else has.',
    fix: 'Say what is to be done, and by whom, with `--follow-up`.',
  },
  'review.contradicts': {
    status: 409,
    message: 'Entries are questioned, and the conclusion says that there are no findings.',
    fix: 'Conclude with findings.',
  },
  'review.unread': {
    status: 409,
    message: 'You have not been shown every entry that has to be reviewed.',
    fix: 'Go through the rest with `trialkeep review entries`.',
  },
  'review.not_concluded': {
    status: 409,
    message: 'You have not concluded the review.',
    fix: 'Conclude it with `trialkeep review conclude`, and sign the record that follows.',
  },
  'review.changed': {
    status: 409,
    message: 'The hash is not the one of the record.',
    fix: 'Look at the review again, and sign the record as it is now.',
  },
  'review.too_many': {
    status: 409,
    message: 'There are as many plans, or marks in one review, as are kept.',
    fix: 'Change an existing plan; sum several entries up in one comment, or plan narrower reviews.',
  },
  'tile.unknown': {
    status: 404,
    message: 'The log has no such tile, not yet or no longer.',
    fix: 'Fetch a checkpoint first and ask only for tiles that its size requires; entries below the minimum index of `trialkeep ledger bounds` are in the archive.',
  },
  'proof.out_of_range': {
    status: 404,
    message: 'The log has no such sizes.',
    fix: 'Ask with 1 ≤ from ≤ to, and with no more entries than the newest checkpoint states.',
  },
  'log_key.rotating': {
    status: 409,
    message: 'The keys of the rotation before still sign.',
    fix: 'Wait for the end of the overlap, or end it with `trialkeep ledger retire-key`.',
  },
  'log_key.not_rotating': {
    status: 409,
    message: 'No old signing keys are left.',
    fix: 'Nothing is to be done; `trialkeep ledger rotate-key` makes new ones.',
  },
  'archive.mismatch': {
    status: 409,
    message: 'What was given is no checkpoint of this log, or covers too little of it.',
    fix: 'Archive the log with `trialkeep ledger archive`, and pass the file `checkpoint` of the archive unchanged.',
  },
  'prune.out_of_range': {
    status: 409,
    message: 'The entries are pruned already, or some of them are younger than a year.',
    fix: 'Choose an index above the minimum index of `trialkeep ledger bounds`, below which every entry is older than 365 days.',
  },
  'ledger.unwitnessed': {
    status: 503,
    message:
      'The witnesses that the policy of this ledger requires have not cosigned it in time: nothing was released.',
    fix: 'Try again; if it lasts, `trialkeep ledger witnesses` says who is missing. Revoking, suspending and sealing work meanwhile.',
    state: 'try-again',
  },
  'witnessing.policy_invalid': {
    status: 400,
    message: 'The witnessing policy is not one that this server can carry out.',
    fix: 'Correct what is named; docs/how-to/witness-a-ledger.md gives the form.',
  },
  'timestamps.unavailable': {
    status: 503,
    message: 'No time-stamping authority gave a timestamp that verifies.',
    fix: 'Look at the server log for the reason of each authority; the server asks again by itself (docs/how-to/timestamp-the-ledger.md).',
  },
  'clock.drift': {
    status: 503,
    message:
      'The clock of this installation and the clock of a trusted source differ by more than the bound.',
    fix: 'Correct the time service of the database machine, or find out whose clock is wrong; the payload of the entry says by how much.',
  },
} as const satisfies Record<string, ErrorDefinition>;
