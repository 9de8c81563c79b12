/** What a human is told: one sentence saying what is wrong, and one saying what to do. */
type ErrorText = Readonly<{ message: string; fix: string }>;

/**
 * Every error of this package. The codes are stable: callers branch on them.
 * `crypto.ciphertext_invalid` stands for a wrong key, a wrong context and altered bytes alike, because
 * telling them apart would tell an attacker which guess was right.
 */
export const cryptoErrors = {
  'crypto.argument_invalid': {
    message: 'An argument does not have the required type or length.',
    fix: 'Pass the argument in the form that its documentation gives.',
  },
  'crypto.algorithm_unknown': {
    message: 'The algorithm is not in the registry.',
    fix: 'Use one of the algorithms that the registry lists.',
  },
  'crypto.key_unsuitable': {
    message: 'The key is not of the algorithm or size that this operation needs.',
    fix: 'Pass a key that was generated for this purpose.',
  },
  'crypto.context_invalid': {
    message: 'The encryption context is not a set of unique, non-empty UTF-8 names with UTF-8 values.',
    fix: 'Use well-formed text, no empty or reserved names, and at most 8,192 bytes in all.',
  },
  'crypto.context_mismatch': {
    message: 'The message does not carry the encryption context that was required.',
    fix: 'Check that this is the message you meant to open; its context is readable in its header.',
  },
  'crypto.plaintext_too_long': {
    message: 'The plaintext is longer than the compact form holds.',
    fix: 'Seal plaintexts of more than 65,536 bytes as a message.',
  },
  'crypto.version_unknown': {
    message: 'The format version is unknown.',
    fix: 'Check that these bytes are of the expected format; if they are, use a newer release.',
  },
  'crypto.suite_unknown': {
    message: 'The algorithm suite is unknown or not approved.',
    fix: 'Seal the data again under an approved suite, with the software that made it.',
  },
  'crypto.ciphertext_invalid': {
    message:
      'The ciphertext does not open: it was altered, or key or context are not those it was made with.',
    fix: 'Check key, tenant and encryption context; if they are right, restore the ciphertext from a backup.',
  },
  'crypto.ciphertext_malformed': {
    message: 'The bytes are not a ciphertext of the expected form.',
    fix: 'Check that the whole ciphertext, and nothing else, was passed.',
  },
  'crypto.ciphertext_truncated': {
    message: 'The ciphertext ends too early.',
    fix: 'Check that the whole ciphertext was stored and passed.',
  },
  'crypto.wrapped_key_invalid': {
    message:
      'The wrapped key does not open: it was altered, moved from another place, or wrapped under another key.',
    fix: 'Check the root of trust; if it is right, restore the key store from a backup.',
  },
  'crypto.wrapped_key_malformed': {
    message: 'The bytes are not a wrapped key.',
    fix: 'Restore the key store from a backup.',
  },
  'crypto.material_invalid': {
    message: 'The bytes are not a valid key of the algorithm in the form that it is imported in.',
    fix: 'Bring the raw key of a symmetric algorithm, or the private key as PKCS #8 in DER, unencrypted, with nothing behind it.',
  },
  'crypto.material_weak': {
    message: 'The key material can be guessed, or is published.',
    fix: 'Make a new key with a random generator that is meant for keys.',
  },
  'crypto.inner_key_missing': {
    message: 'The data key is also sealed under the key of a study or subject, and none was given.',
    fix: 'Pass the key of the study or subject that the encryption context names.',
  },
  'crypto.inner_key_unexpected': {
    message: 'The data key is not sealed under the key of a study or subject, though one was given.',
    fix: 'Check that this is the data key that belongs to the encryption context.',
  },
  'crypto.message_malformed': {
    message: 'The bytes are not a sealed message of the supported form.',
    fix: 'Check that the whole file or stream, from its first byte, was passed.',
  },
  'crypto.message_truncated': {
    message: 'The sealed message ends before its final frame.',
    fix: 'Discard what was opened, and fetch the whole message again.',
  },
  'crypto.message_trailing_data': {
    message: 'Bytes follow the final frame of the sealed message.',
    fix: 'Discard what was opened; pass one message only, without anything after it.',
  },
  'crypto.message_frame_misplaced': {
    message: 'A frame of the sealed message is missing, repeated or out of order.',
    fix: 'Discard what was opened, and restore the message from a backup.',
  },
  'crypto.message_too_long': {
    message: 'The plaintext needs more frames than a message can hold.',
    fix: 'Use longer frames, or seal the data as several messages.',
  },
  'crypto.signature_invalid': {
    message: 'The signature of the sealed message does not verify.',
    fix: 'Discard what was opened, and fetch the message again; if it stays so, it was altered or forged.',
  },
  'crypto.signature_missing': {
    message: 'The sealed message is not signed, and was required to be.',
    fix: 'Check that this is the message you meant to open; if it is, have it sealed again, signed.',
  },
  'crypto.signature_unchecked': {
    message: 'The message is signed, and reading it in parts releases plaintext before its signature holds.',
    fix: 'Open it whole, or say with releaseBeforeSignature (streams) or ignoreSignature (ranges) that you do without.',
  },
  'crypto.frame_too_long': {
    message: 'The frames of the sealed message are longer than the reader allows.',
    fix: 'Raise maxFrameBytes if the message comes from someone you trust to choose your memory use.',
  },
  'crypto.recipients_invalid': {
    message: 'The message has no encrypted data key, too many of them, or one with an over-long field.',
    fix: 'Use 1 to 16 recipients with fields within the bounds of docs/formats/sealed-message.md.',
  },
  'crypto.public_key_invalid': {
    message: 'The public key is not one that anybody could open with.',
    fix: 'Get the public key from its owner again, unaltered.',
  },
  'crypto.recipients_mixed': {
    message: 'A post-quantum recipient stands beside a classical public key, which would undo it.',
    fix: 'Give every public-key recipient of the message a hybrid key, or none.',
  },
  'crypto.data_key_missing': {
    message: 'None of the encrypted data keys of the message could be opened.',
    fix: 'Use a key or service that is a recipient of this message.',
  },
  'crypto.receipt_malformed': {
    message: 'It is not a use receipt of the form that docs/formats/use-receipt.md gives.',
    fix: 'Correct the member that is named, or use the version of the software that wrote it.',
  },
  'crypto.receipt_signature_invalid': {
    message: 'The receipts are not those that their reporter signed.',
    fix: 'Fetch them again from where they were written; if it stays so, they were altered or forged.',
  },
  'crypto.field_value_invalid': {
    message: 'The value is not of the type that the field has, or cannot be sealed.',
    fix: 'Pass a value of the declared type: well-formed text, a finite number, a valid date, JSON, bytes or a boolean.',
  },
  'crypto.field_too_long': {
    message: 'The value is longer than a sealed field holds.',
    fix: 'Seal values of more than 65,000 bytes as a message.',
  },
  'crypto.field_type_mismatch': {
    message: 'The sealed field holds a value of another type.',
    fix: 'Declare the column with the type that its values were sealed with.',
  },
  'crypto.field_encoding_invalid': {
    message: 'The sealed field is authentic, but holds no encoding of a value that this version writes.',
    fix: 'Seal the value again with this version; whatever sealed it does not follow docs/formats/field.md.',
  },
  'crypto.credential_malformed': {
    message: 'The text is not a service credential.',
    fix: 'Pass the credential exactly as it was shown when it was made.',
  },
  'crypto.secret_malformed': {
    message: 'The text is not a credential, session or invitation.',
    fix: 'Pass the secret exactly as it was shown or sent when it was made.',
  },
  'crypto.password_invalid': {
    message: 'The password is empty, too long, or holds something that is not a Unicode character.',
    fix: 'Choose a password of at most 1,000 bytes of UTF-8 from characters that the keyboard offers.',
  },
  'crypto.password_hash_malformed': {
    message: 'The text is not a password hash of the registry, or its cost is out of bounds.',
    fix: 'Restore the database from a backup, or let the person set a new password.',
  },
  'crypto.escrow_key_malformed': {
    message: 'The text is not an escrow key, or not the public part of one, exactly as it was made.',
    fix: 'Use the file that was made, whole and unaltered; take another copy of it if there is one.',
  },
  'crypto.passphrase_too_short': {
    message: 'The passphrase is too short for a key that is attacked offline.',
    fix: 'Choose six or more random words, at least 15 characters.',
  },
  'crypto.timestamp_malformed': {
    message: 'The timestamp does not have the form of RFC 3161, or is not encoded in its one way.',
    fix: 'Use the token exactly as the authority gave it, or another authority.',
  },
  'crypto.timestamp_algorithm': {
    message: 'The timestamp or a certificate uses an algorithm or a key that is not accepted.',
    fix: 'Use an authority that signs with RSA from 2,048 bits or ECDSA, and SHA-256, SHA-384 or SHA-512.',
  },
  'crypto.timestamp_refused': {
    message: 'The authority did not give a timestamp.',
    fix: 'See its reason; ask it again, or another authority.',
  },
  'crypto.timestamp_imprint': {
    message: 'The timestamp is of other data, or under another hash than was asked for.',
    fix: 'Treat the data as not stamped; compare with another copy.',
  },
  'crypto.timestamp_nonce': {
    message: 'The timestamp does not answer this request.',
    fix: 'Somebody may have put an older answer in its place: ask again, or ask another authority.',
  },
  'crypto.timestamp_policy': {
    message: 'The timestamp was made under a policy that is not accepted.',
    fix: 'Correct the configured policy, or ask an authority that follows it.',
  },
  'crypto.timestamp_accuracy': {
    message: 'The timestamp is not stated to be accurate enough.',
    fix: 'Use an authority that states its accuracy within the bound.',
  },
  'crypto.timestamp_signature': {
    message: 'The signature of the timestamp does not verify.',
    fix: 'Treat the timestamp as altered; take it from another copy.',
  },
  'crypto.timestamp_certificate': {
    message: 'The certificate of the timestamp is not there, or was not good for time-stamping at that time.',
    fix: 'Use an authority whose certificate has time-stamping as its only and critical purpose, and is in date.',
  },
  'crypto.timestamp_untrusted': {
    message: 'The certificate of the timestamp leads to none of the configured roots.',
    fix: 'Check that the roots are those of the authority; take them from a trusted place.',
  },
  'crypto.timestamp_roots_malformed': {
    message: 'The file of root certificates is not PEM, or holds something else.',
    fix: 'Give certificates as PEM blocks "BEGIN CERTIFICATE", at least one, and nothing secret beside them.',
  },
  'crypto.passphrase_wrong': {
    message: 'The passphrase is not that of the escrow key, or the file was altered.',
    fix: 'Try the passphrase again; if it is right, use another copy of the file.',
  },
  'crypto.share_malformed': {
    message: 'The text is not a share of a secret.',
    fix: 'Type the whole share as it was written down: TKS1 and 18 groups of four letters and digits.',
  },
  'crypto.share_mistyped': {
    message: 'The share was not typed as it was written down.',
    fix: 'Compare every group with what was written down, and type it again.',
  },
  'crypto.shares_too_few': {
    message: 'There are fewer shares than are needed.',
    fix: 'Give as many shares as the set needs; each of them says how many.',
  },
  'crypto.shares_foreign': {
    message: 'The shares are not all of one set.',
    fix: 'Give shares of one set only; the first eight characters behind TKS1 are the same in all of them.',
  },
  'crypto.shares_repeated': {
    message: 'A share was given twice.',
    fix: 'Give different shares, one of each custodian.',
  },
  'crypto.shares_wrong': {
    message: 'The shares do not give the secret that they are said to be of.',
    fix: 'Compare the fingerprint of each share with the minutes of the ceremony, and leave the wrong one out.',
  },
} as const satisfies Record<string, ErrorText>;

export type CryptoErrorCode = keyof typeof cryptoErrors;

/** The only error this package throws of its own. Neither `message` nor `detail` ever contains a secret. */
export class CryptoError extends Error {
  readonly code: CryptoErrorCode;
  readonly fix: string;

  /** @param detail what a reader needs beside the sentence (a suite id, an argument's name); no secrets */
  constructor(code: CryptoErrorCode, detail?: string) {
    const { message, fix } = cryptoErrors[code];
    super(detail === undefined ? message : `${message} (${detail})`);
    this.name = 'CryptoError';
    this.code = code;
    this.fix = fix;
  }
}
