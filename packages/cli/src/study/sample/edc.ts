import { csv } from './csv.ts';
import { odmFiles } from './odm.ts';
import { protocolNumber, isoDate } from './study.ts';
import type { SampleFile, SampleStudy, Site, Subject } from './study.ts';
import {
  adverseEvents,
  concomitantMedications,
  demographics,
  laboratory,
  uniqueSubjectId,
  vitalSigns,
} from './tables.ts';
import type { Table } from './tables.ts';

const tables = [demographics, vitalSigns, laboratory, adverseEvents, concomitantMedications];

/** What the electronic data capture system exports: a table per subject and domain, transfers and forms per site. */
export function* edcFiles({ sites }: SampleStudy): Generator<SampleFile> {
  for (const site of sites) {
    for (const subject of site.subjects) {
      for (const table of tables) {
        const name = table.domain.toLowerCase();
        yield { path: `edc/subjects/${subject.number}/${name}.ndjson`, content: datasetJson(table, subject) };
      }
    }
    yield { path: `edc/sites/${site.number}/screening-log.csv`, content: screeningLog(site) };
    for (const table of [laboratory, vitalSigns]) {
      const name = table.label.toLowerCase().replaceAll(' ', '-');
      yield { path: `edc/sites/${site.number}/${name}.csv`, content: transfer(table, site) };
    }
    yield* odmFiles(site);
  }
}

/** CDISC Dataset-JSON 1.1, NDJSON representation: the metadata in the first line, then one array for each row. */
function datasetJson(table: Table, subject: Subject): Buffer {
  const rows = table.rows(subject);
  const made = `${isoDate(subject.screenedOn_days + 130)}T04:00:00`;
  const common = [
    ['STUDYID', 'Study Identifier', 'string'],
    ['DOMAIN', 'Domain Abbreviation', 'string'],
    ['USUBJID', 'Unique Subject Identifier', 'string'],
  ] as const;
  const metadata = {
    datasetJSONCreationDateTime: made,
    datasetJSONVersion: '1.1.0',
    fileOID: `example.org/${protocolNumber}/${subject.number}/${table.domain}`,
    dbLastModifiedDateTime: made,
    originator: 'Trialkeep sample study',
    studyOID: `example.org/${protocolNumber}`,
    metaDataVersionOID: 'MDV.1',
    itemGroupOID: `IG.${table.domain}`,
    records: rows.length,
    name: table.domain,
    label: table.label,
    columns: [...common, ...table.columns].map(([name, label, dataType]) => ({
      itemOID: `IT.${table.domain}.${name}`,
      name,
      label,
      dataType,
    })),
  };
  const lines = [JSON.stringify(metadata)];
  for (const row of rows) {
    lines.push(JSON.stringify([protocolNumber, table.domain, uniqueSubjectId(subject), ...row]));
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

function transfer(table: Table, site: Site): Buffer {
  const head = ['STUDYID', 'SITEID', 'USUBJID', ...table.columns.map(([name]) => name)];
  const rows = site.subjects.flatMap((subject) =>
    table.rows(subject).map((row) => [protocolNumber, site.number, uniqueSubjectId(subject), ...row]),
  );
  return csv([head, ...rows]);
}

/** The one list that ties numbers to people. */
function screeningLog(site: Site): Buffer {
  const head = ['subject', 'name', 'sex', 'born', 'address', 'phone', 'email', 'screened', 'outcome'];
  const rows = site.subjects.map((subject) => [
    subject.number,
    subject.fullName,
    subject.sex,
    subject.birthDate,
    subject.address,
    subject.phone,
    subject.email,
    isoDate(subject.screenedOn_days),
    'randomised',
  ]);
  return csv([head, ...rows]);
}
