import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConfigValidationError, createTaskSystem } from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

/** As docs and the refusal of anything larger say. */
const LARGEST_BYTES = 8_323_072;
/** Three bytes each in UTF-8. */
const longest = (chars: number, at = 0): string => `${at}`.padStart(chars, '名');
const ofBytes = (bytes: number): string => 'x'.repeat(bytes - 2);

let folder: TestFolder;
beforeEach(async () => void (folder = await TestFolder.create()));
afterEach(() => folder.dispose());

describe('The largest limits', () => {
  it('fit the log and the database: input, payload and result of that size, with name, key, user and tags at their longest', async () => {
    const limits = { maxInputBytes: LARGEST_BYTES, maxEventBytes: LARGEST_BYTES, maxResultBytes: LARGEST_BYTES };
    const system = await folder.system({ limits });
    const name = longest(200);
    system.defineTask(name, {
      handler: async (input: string, ctx) => {
        await ctx.emit(longest(200), ofBytes(LARGEST_BYTES));
        return input;
      },
    });
    await system.initialize();
    const tags = Array.from({ length: 32 }, (_, at) => longest(256, at));
    const input = ofBytes(LARGEST_BYTES);
    const task = await system.submit(name, { input, userId: longest(256), idempotencyKey: longest(256), tags });
    expect((await system.result<string>(task)).length).toBe(LARGEST_BYTES - 2);
    await expect(system.submit(name, { input: `${input}x` })).rejects.toMatchObject({ name: 'ValidationError', field: 'input' });
    await eventually(
      () => system.getStats(),
      ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
    );
    expect(system.getStats().flush.deadEntries).toBe(0);
    expect((await system.getStatus(task))!.tags).toEqual(tags);
  });

  it.each(['maxInputBytes', 'maxEventBytes', 'maxResultBytes'])(
    'are the largest: one byte more of limits.%s is refused at start',
    async (limit) => {
      const refused: unknown = await createTaskSystem(folder.options({ limits: { [limit]: LARGEST_BYTES + 1 } }))
        .then((system) => system.initialize())
        .catch((error: unknown) => error);
      expect(ConfigValidationError.is(refused)).toBe(true);
      expect((refused as Error).message).toContain(`limits.${limit}: must not be greater than ${LARGEST_BYTES}`);
    },
  );
});
