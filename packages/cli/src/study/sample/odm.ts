import { Random } from './random.ts';
import { decimal, isoDate, isoTime, protocolNumber, visits } from './study.ts';
import type { SampleFile, Site, Subject, Visit } from './study.ts';

/** A case report form: which visits have it, and what is entered. */
interface Form {
  readonly oid: string;
  readonly name: string;
  readonly atVisits: readonly Visit['oid'][];
  readonly items: (subject: Subject, random: Random) => readonly (readonly [oid: string, value: string])[];
}

const everyVisit = visits.map((visit) => visit.oid);
const yesNo = ['Y', 'N', 'N'];

const forms: readonly Form[] = [
  {
    oid: 'DEMOGRAPHICS',
    name: 'demographics',
    atVisits: ['SCR'],
    items: (subject) => [
      ['NAME', subject.fullName],
      ['BIRTHDATE', subject.birthDate],
      ['SEX', subject.sex],
      ['ADDRESS', subject.address],
      ['PHONE', subject.phone],
      ['EMAIL', subject.email],
      ['HEIGHT', String(subject.height_cm)],
      ['WEIGHT', String(subject.weight_kg)],
    ],
  },
  {
    oid: 'VITALS',
    name: 'vital-signs',
    atVisits: everyVisit,
    items: (subject, random) => [
      ['SYSBP', String(random.integer(104, 168))],
      ['DIABP', String(random.integer(60, 98))],
      ['PULSE', String(subject.restingRate_bpm + random.integer(-6, 9))],
      ['TEMP', decimal(random.integer(360, 374), 1)],
      ['SPO2', String(random.integer(94, 100))],
      ['WEIGHT', String(subject.weight_kg + random.integer(-2, 2))],
    ],
  },
  {
    oid: 'HISTORY',
    name: 'medical-history',
    atVisits: ['SCR', 'BL'],
    items: (_subject, random) =>
      ['HYPERTENSION', 'DIABETES', 'STROKE', 'HEARTFAILURE', 'MI', 'ASTHMA', 'SMOKER', 'ALCOHOL'].map(
        (oid) => [oid, random.pick(yesNo)] as const,
      ),
  },
  {
    oid: 'ECG',
    name: 'ecg-interpretation',
    atVisits: everyVisit,
    items: (subject, random) => [
      ['RHYTHM', subject.inFibrillation ? 'ATRIAL FIBRILLATION' : 'SINUS RHYTHM'],
      ['HR', String(subject.restingRate_bpm + random.integer(-5, 5))],
      ['PR', subject.inFibrillation ? '' : String(random.integer(130, 205))],
      ['QRS', String(random.integer(78, 116))],
      ['QTCF', String(random.integer(385, 452))],
      ['SIGNIFICANT', random.pick(yesNo)],
    ],
  },
  {
    oid: 'DOSING',
    name: 'dosing',
    atVisits: ['BL', 'W4', 'W8', 'W12'],
    items: (_subject, random) => [
      ['KIT', `K${random.integer(100_000, 999_999)}`],
      ['DISPENSED', String(random.integer(28, 36))],
      ['RETURNED', String(random.integer(0, 7))],
      ['MISSED', random.pick(yesNo)],
    ],
  },
  {
    oid: 'QOL',
    name: 'quality-of-life',
    atVisits: ['BL', 'W4', 'W12'],
    items: (_subject, random) =>
      Array.from({ length: 20 }, (_, at) => [`AFEQT.${at + 1}`, String(random.integer(1, 7))] as const),
  },
];

/** CDISC ODM-XML 1.3.2, one transactional file for each form of the site, every entry and correction with its audit record. */
export function* odmFiles(site: Site): Generator<SampleFile> {
  for (const form of forms) {
    yield { path: `edc/sites/${site.number}/odm/${form.name}.xml`, content: odm(site, form) };
  }
}

function odm(site: Site, form: Form): Buffer {
  const random = new Random(`${site.number} ${form.oid}`);
  const location = `LOC.${site.number}`;
  const user = `USR.${site.number}.1`;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" FileType="Transactional" ODMVersion="1.3.2"',
    `     FileOID="${protocolNumber}.${site.number}.${form.oid}" CreationDateTime="2026-09-30T04:00:00Z" SourceSystem="Sample EDC">`,
    `  <AdminData StudyOID="${protocolNumber}">`,
    `    <User OID="${user}"><FullName>${escapeXml(site.coordinator.fullName)}</FullName><Email>${site.coordinator.email}</Email></User>`,
    `    <Location OID="${location}" Name="${escapeXml(site.region.institution)}" LocationType="Site">`,
    `      <MetaDataVersionRef StudyOID="${protocolNumber}" MetaDataVersionOID="MDV.1" EffectiveDate="2026-01-01"/>`,
    '    </Location>',
    '  </AdminData>',
    `  <ClinicalData StudyOID="${protocolNumber}" MetaDataVersionOID="MDV.1">`,
  ];
  for (const subject of site.subjects) {
    lines.push(
      `    <SubjectData SubjectKey="${subject.number}">`,
      `      <SiteRef LocationOID="${location}"/>`,
    );
    for (const visit of visits.filter(({ oid }) => form.atVisits.includes(oid))) {
      lines.push(`      <StudyEventData StudyEventOID="SE.${visit.oid}">`);
      lines.push(...entry(form, subject, visit, random, user, location));
      lines.push('      </StudyEventData>');
    }
    lines.push('    </SubjectData>');
  }
  lines.push('  </ClinicalData>', '</ODM>', '');
  return Buffer.from(lines.join('\n'));
}

/** The form as entered at the visit and, now and then, a correction of its last item. */
function entry(
  form: Form,
  subject: Subject,
  visit: Visit,
  random: Random,
  user: string,
  location: string,
): string[] {
  const day = subject.screenedOn_days + visit.day;
  const items = form.items(subject, random);
  const audit = (minutes: number, reason: string) => [
    '          <AuditRecord EditPoint="Monitoring">',
    `            <UserRef UserOID="${user}"/><LocationRef LocationOID="${location}"/>`,
    `            <DateTimeStamp>${isoTime(day, minutes)}Z</DateTimeStamp>`,
    ...(reason === '' ? [] : [`            <ReasonForChange>${reason}</ReasonForChange>`]),
    '          </AuditRecord>',
  ];
  const data = (entered: typeof items) => [
    `          <ItemGroupData ItemGroupOID="IG.${form.oid}">`,
    ...entered.map(
      ([oid, value]) => `            <ItemData ItemOID="IT.${oid}" Value="${escapeXml(value)}"/>`,
    ),
    '          </ItemGroupData>',
  ];
  const lines = [
    `        <FormData FormOID="F.${form.oid}" TransactionType="Insert">`,
    ...audit(540 + random.integer(0, 240), ''),
    ...data([['VISITDATE', isoDate(day)], ...items]),
    '        </FormData>',
  ];
  if (random.once(6)) {
    const reason = random.pick(['Transcription error', 'Source document corrected', 'Query answered']);
    lines.push(`        <FormData FormOID="F.${form.oid}" TransactionType="Update">`);
    lines.push(...audit(1440 * random.integer(3, 30) + random.integer(480, 1000), reason));
    lines.push(...data(items.slice(-1)), '        </FormData>');
  }
  return lines;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
