import type { Random } from './random.ts';

/** Sentences from which the documents of the trial master file are put together; written for this purpose. */
export const protocolSentences = [
  'The study compares velmoradine 50 mg once daily with placebo over twelve weeks of double-blind treatment.',
  'Participants are adults of 40 years or older with at least two documented episodes of paroxysmal atrial fibrillation in the last six months.',
  'The primary endpoint is the time to the first recurrence of atrial fibrillation that lasts 30 seconds or longer, as adjudicated from the wearable recording.',
  'Randomisation is stratified by site and by the presence of structural heart disease, with an allocation of one to one.',
  'An ambulatory two-lead ECG is recorded with the study device at baseline and transmitted through the gateway of the wearable vendor.',
  'A resting twelve-lead ECG is taken after five minutes of rest in the supine position, before blood is drawn.',
  'The investigator records each adverse event from the signature of the consent form until the follow-up visit.',
  'Serious adverse events are reported to the sponsor within 24 hours of the site becoming aware of them.',
  'Laboratory samples are analysed centrally; reference ranges and methods are filed in the trial master file.',
  'A participant may withdraw consent at any time, without giving a reason and without any effect on further care.',
  'Source data are identified in the source data agreement of the site before the first participant is screened.',
  'Deviations from the protocol are documented, assessed for their effect on safety and on the reliability of results, and reviewed monthly.',
  'The database is locked after all queries are closed and after the medical reviewer has signed the final listing.',
  'Missing values of the primary endpoint are handled by multiple imputation under the assumption that they are missing at random.',
  'An independent committee reviews unblinded safety data after 30, 60 and 90 participants have completed week 4.',
  'The investigational product is stored between 15 and 25 degrees Celsius and accounted for at each visit.',
  'Heart rate, oxygen saturation and step count are summarised by day; days with less than ten hours of wear are not counted.',
  'The sample size of 120 gives a power of 85 percent to detect a hazard ratio of 0.55 at a two-sided significance level of 0.05.',
  'Unblinding of a single participant is allowed only where knowledge of the treatment is needed for medical care.',
  'Access to the study systems is granted to named persons by role, reviewed each quarter and withdrawn on the last day of duty.',
] as const;

export const consentSentences = [
  'You are invited to take part in a research study; please take the time to read this information and to ask about anything that is unclear.',
  'Taking part is voluntary, and you can stop at any moment without giving a reason.',
  'You will wear a small recorder on your chest; it sends your heart rhythm to the study team once a day.',
  'Neither you nor your study doctor will know whether you receive velmoradine or a tablet without active substance.',
  'The most frequent side effects seen so far were headache, dizziness and a slow pulse.',
  'Your name, date of birth and address stay at the study site; the sponsor receives your data under a number.',
  'Persons who inspect the study may see your medical record; they are bound to keep it confidential.',
  'You can ask for a copy of your data and for the correction of errors in them.',
  'If you stop, no new data are collected; what was collected before is kept as the law requires.',
  'You are insured against harm that is caused by taking part; the policy is available from the study team.',
  'Travel costs are paid back against receipts within four weeks of the visit.',
  'Please tell the study team about every medicine that you take, also those bought without a prescription.',
] as const;

export const monitoringSentences = [
  'The informed consent forms of all participants screened since the last visit were reviewed against the source.',
  'The delegation log is current; one new sub-investigator was added and trained before the first delegated task.',
  'Temperature records of the product storage were complete, without an excursion.',
  'Two values of blood pressure differed between source and case report form; both were corrected during the visit.',
  'The calibration certificate of the ECG device expires within 60 days; the site was asked to arrange the renewal.',
  'All adverse events in the source were found in the case report form with the same onset date.',
  'The audit trail of the source system was sampled for five participants; no unexplained change was seen.',
  'The site reported an upload gap of the wearable of nine hours; the participant had replaced the battery late.',
  'Laboratory reports were signed and assessed by the investigator within the agreed time.',
  'Open queries older than 14 days were discussed with the study coordinator, who will answer them this week.',
  'Accountability of the investigational product was reconciled for all returned kits.',
  'The investigator site file was checked; the current version of the lab reference ranges was missing and was filed.',
] as const;

/** A paragraph of that many sentences. */
export function paragraph(random: Random, sentences: readonly string[], count: number): string {
  return Array.from({ length: count }, () => random.pick(sentences)).join(' ');
}

/** Breaks at spaces so that no line has more than `width` UTF-16 units, unless a word alone has. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
