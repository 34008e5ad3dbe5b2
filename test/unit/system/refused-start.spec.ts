import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RepositoryError, type RepositoryErrorCode } from '../../../lib/errors/storage.errors.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
const fails = (code: RepositoryErrorCode): void => {
  house.shared.rows.initialize = () => Promise.reject(new RepositoryError(code, `It failed with ${code}.`, 0));
};

beforeEach(() => {
  house = new WholeSystem();
  house.definitions.set('work', new HandDrivenWork().definition);
});
afterEach(() => house.stop());

describe('A database that cannot be opened', () => {
  it.each(['DRIVER_MISSING', 'NOT_SUPPORTED', 'SCHEMA_TOO_NEW'] as const)(
    'refuses the start where no waiting mends it: %s',
    async (code) => {
      fails(code);
      await expect(house.start()).rejects.toMatchObject({ name: 'RepositoryError', code, message: `It failed with ${code}.` });
      expect(house.system.getStats().status).toBe('stopped');
      await expect(house.until(house.system.submit('work', { input: 1 }))).rejects.toMatchObject({ code });
    },
  );

  it('does not refuse it where it may be back at any moment', async () => {
    fails('UNAVAILABLE');
    await house.start();
    expect(house.system.getStats().status).toBe('degraded');
    expect((await house.until(house.system.submit('work', { input: 1 }))).status).toBe('created');
  });
});
