const HEAD = `# Mutations: what the tests would notice

\`npm run test:mutants\` breaks a copy of the code in each of the ways below, one at a time, and runs the test that is named beside it: first
on the sound code, where it has to pass, then on the broken one, where it has to fail. A breakage that nobody notices, or whose text is no
longer in the code, fails the command. This page is written by it (\`-- --write\`); the list is in \`test/mutants/list\`.
`;

/** The page of all mutants, in the format of the repository. */
export function pageOf(mutants) {
  const sections = [...new Set(mutants.map(({ file }) => roomOf(file)))].map((floor) => sectionOf(floor, mutants));
  return `${HEAD}\n${mutants.length} breakages, each found by the test beside it.\n\n${sections.join('\n')}`;
}

function sectionOf(floor, mutants) {
  const rows = mutants
    .filter(({ file }) => roomOf(file) === floor)
    .map(
      ({ id, promise, breaks, file, test }) => `- **${id}** (${promise}, \`${file}\`): ${breaks}\n  Fails: \`${test[0]}\`, "${test[1]}"\n`,
    );
  return `## ${floor}\n\n${rows.join('')}`;
}

/** `lib/stream/…` is `stream`; `lib/engines/local/wal/…` is `engines/local/wal`. */
function roomOf(file) {
  const [, floor, ...rest] = file.split('/');
  return floor === 'engines' ? [floor, ...rest.slice(0, 2)].join('/') : floor;
}
