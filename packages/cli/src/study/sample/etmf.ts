import { charactersPerLine, linesPerPage, pdf } from './pdf.ts';
import type { Page, Scan } from './pdf.ts';
import { consentSentences, monitoringSentences, paragraph, protocolSentences, wrap } from './prose.ts';
import { Random } from './random.ts';
import { inventPerson, isoDate, protocolNumber, sponsor, studyTitle } from './study.ts';
import type { SampleFile, SampleStudy, Site, Subject } from './study.ts';
import { adverseEvents, concomitantMedications, laboratory, vitalSigns } from './tables.ts';

/** Every so many subjects, the signed consent form is a scan of the paper instead of text. */
const subjectsPerScannedConsent = 8;
const monitoringVisits = 6;

/** The documents of the trial master file, as PDF; the folders follow the zones of the CDISC TMF Reference Model. */
export function* etmfFiles({ sites }: SampleStudy): Generator<SampleFile> {
  yield book('etmf/01-trial-management/monitoring-plan.pdf', 'Monitoring plan', monitoringSentences, 20);
  yield book(
    'etmf/01-trial-management/data-management-plan.pdf',
    'Data management plan',
    protocolSentences,
    18,
  );
  yield book('etmf/02-central-trial-documents/protocol-v1.0.pdf', 'Protocol 1.0', protocolSentences, 64);
  yield book('etmf/02-central-trial-documents/protocol-v2.0.pdf', 'Protocol 2.0', protocolSentences, 66);
  yield book('etmf/02-central-trial-documents/investigator-brochure.pdf', 'Brochure', protocolSentences, 80);
  yield book(
    'etmf/02-central-trial-documents/case-report-form-blank.pdf',
    'Blank CRF',
    protocolSentences,
    24,
  );
  yield book('etmf/02-central-trial-documents/同意説明文書.pdf', '同意説明文書', consentSentences, 6);
  yield book('etmf/02-central-trial-documents/świadoma-zgoda.pdf', 'Świadoma zgoda', consentSentences, 6);
  yield book('etmf/03-regulatory/clinical-trial-authorisation.pdf', 'Authorisation', protocolSentences, 3);
  for (const site of sites) {
    yield* siteDocuments(site);
    for (const [at, subject] of site.subjects.entries()) {
      const isScan = at % subjectsPerScannedConsent === subjectsPerScannedConsent - 1;
      yield consent(site, subject, '1.0', isScan);
      if (at % 2 === 0) yield consent(site, subject, '2.0', false);
      yield casebook(site, subject);
    }
  }
}

function* siteDocuments(site: Site): Generator<SampleFile> {
  const folder = `etmf/05-site-management/${site.number}`;
  for (let visit = 1; visit <= monitoringVisits; visit++) yield monitoringReport(folder, site, visit);
  const scans = new Random(`${site.number} delegation log`);
  const pages = Array.from({ length: site.subjects.length < 8 ? 1 : 2 }, () => ({
    scan: scannedPage(scans),
  }));
  yield {
    path: `${folder}/delegation-log-signed.pdf`,
    content: pdf(`Delegation log, site ${site.number}`, pages),
  };
  const { fullName, birthDate, address, email } = site.investigator;
  yield {
    path: `${folder}/investigator-cv.pdf`,
    content: text('Curriculum vitae', [
      fullName,
      `Born: ${birthDate}`,
      `Address: ${address}`,
      `E-mail: ${email}`,
      `Principal investigator at ${site.region.institution}, ${site.region.city}`,
      'Trained in good clinical practice, last on 2025-11-20.',
    ]),
  };
  yield book(
    `etmf/04-ethics/${site.number}-approval.pdf`,
    `Ethics approval ${site.number}`,
    protocolSentences,
    2,
  );
}

/** Numbered sections of invented prose on about that many pages. */
function book(path: string, title: string, sentences: readonly string[], pages: number): SampleFile {
  const random = new Random(path);
  const paragraphs = [studyTitle, `Sponsor: ${sponsor}`];
  // Five sentences take about seven lines, with the heading and the blank lines ten.
  for (let section = 1; section <= pages * 5; section++) {
    paragraphs.push(`${Math.ceil(section / 5)}.${((section - 1) % 5) + 1}`, paragraph(random, sentences, 5));
  }
  return { path, content: text(title, paragraphs) };
}

function consent(site: Site, subject: Subject, version: string, isScan: boolean): SampleFile {
  const path = `etmf/subjects/${subject.number}/consent-${version}-signed.pdf`;
  const random = new Random(path);
  const title = `Informed consent ${version}`;
  if (isScan) return { path, content: pdf(title, [{ scan: scannedPage(random) }]) };
  const signedOn = isoDate(subject.screenedOn_days + (version === '1.0' ? 0 : 70));
  const information = Array.from({ length: 16 }, () => paragraph(random, consentSentences, 5));
  return {
    path,
    content: text(title, [
      `Study: ${studyTitle}`,
      `Site: ${site.region.institution}, ${site.region.city}`,
      `Language of the conversation: ${site.region.language}`,
      ...information,
      'I have understood the information, my questions were answered, and I agree to take part.',
      `Participant: ${subject.fullName}`,
      `Born: ${subject.birthDate}`,
      `Address: ${subject.address}`,
      `Telephone: ${subject.phone}`,
      `Signed on ${signedOn} by the participant`,
      `Signed on ${signedOn} by ${site.investigator.fullName}, investigator`,
    ]),
  };
}

/** The subject's case report form, printed: as archived at the site. */
function casebook(site: Site, subject: Subject): SampleFile {
  const paragraphs = [
    `Subject ${subject.number}, born ${subject.birthDate}, ${subject.arm}`,
    `Participant (site copy): ${subject.fullName}`,
    `Investigator: ${site.investigator.fullName}`,
  ];
  for (const table of [vitalSigns, laboratory, adverseEvents, concomitantMedications]) {
    paragraphs.push(table.label, ...table.rows(subject).map((row) => row.join('  ')));
  }
  return {
    path: `etmf/subjects/${subject.number}/casebook.pdf`,
    content: pdf(`Case report form ${subject.number}`, paginate('Case report form', paragraphs)),
  };
}

function monitoringReport(folder: string, site: Site, visit: number): SampleFile {
  const path = `${folder}/monitoring-visit-${String(visit).padStart(2, '0')}.pdf`;
  const random = new Random(path);
  const monitor = inventPerson(`${site.number} monitor`, site.region);
  const paragraphs = [
    `Site ${site.number}: ${site.region.institution}, ${site.region.city}`,
    `Monitor: ${monitor.fullName}`,
    `Present: ${site.investigator.fullName}, ${site.coordinator.fullName}`,
  ];
  for (const subject of site.subjects) {
    paragraphs.push(`Participant ${subject.number}`, paragraph(random, monitoringSentences, 6));
  }
  return { path, content: text(`Monitoring visit report ${visit}`, paragraphs) };
}

/** A document with a blank line after each paragraph. */
function text(title: string, paragraphs: readonly string[]): Buffer {
  const spaced = paragraphs.flatMap((each) => [each, '']);
  return pdf(title, paginate(title, spaced));
}

function paginate(title: string, paragraphs: readonly string[]): Page[] {
  const lines = paragraphs.flatMap((each) => wrap(each, charactersPerLine));
  const perPage = linesPerPage - 2;
  const count = Math.ceil(lines.length / perPage);
  return Array.from({ length: count }, (_, at) => ({
    lines: [
      `${protocolNumber}   ${title}   page ${at + 1} of ${count}`,
      '',
      ...lines.slice(at * perPage, (at + 1) * perPage),
    ],
  }));
}

/** A4 at 106 dots per inch, all noise: scans arrive compressed, so what matters is that nothing can compress them further. */
function scannedPage(random: Random): Scan {
  const [width, height] = [877, 1240];
  return { width, height, pixels: random.fill(Buffer.alloc(width * height)) };
}
