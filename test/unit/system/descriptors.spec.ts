import { expect, it } from '@jest/globals';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

const FILE_BYTES = 4_096;
const OPERATIONS = 30;

it('a log that runs out of descriptors anywhere in a rotation is full until it has some again, and does not fail', async () => {
  let fired = 0;
  for (let after = 0; after < OPERATIONS; after++) {
    const house = new WholeSystem({ eventLog: { maxSizeBytesPerFile: FILE_BYTES } });
    const work = new HandDrivenWork();
    work.isAutomatic = true;
    house.definitions.set('work', work.definition);
    await house.start();
    const submit = () => house.until(house.system.submit('work', { input: 'x'.repeat(1_000) }).catch((error: Error) => error));
    const { disk } = house;
    disk.fault = { at: disk.operations.length + 1 + after, kind: 'EMFILE', persistent: true, only: ['open'] };
    const answers = [];
    for (let n = 0; n < 8; n++) answers.push(await submit());
    if (disk.hasFired) fired++;
    expect(house.system.getStats().eventLog.state).not.toBe('failed');
    for (const answer of answers) if (answer instanceof Error) expect(answer).toMatchObject({ name: 'EventLogFullError', outcome: 'none' });
    disk.fault = undefined;
    await house.run(3_000);
    const answer = await submit();
    expect(answer).toMatchObject({ status: 'created' });
    await house.flushed();
    expect(house.system.getStats()).toMatchObject({ status: 'running', eventLog: { state: 'open' } });
    await house.stop();
  }
  expect(fired).toBe(OPERATIONS);
});
