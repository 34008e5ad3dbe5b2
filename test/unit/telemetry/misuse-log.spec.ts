import { describe, expect, it } from '@jest/globals';
import type { LoggerService } from '@nestjs/common';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { MisuseLog } from '../../../lib/telemetry/misuse-log.js';

function logOf(): { readonly misuse: MisuseLog; readonly lines: string[] } {
  const lines: string[] = [];
  const error = (line: string): number => lines.push(line);
  return { lines, misuse: new MisuseLog({ error } as unknown as LoggerService) };
}
const thrownBy = (call: () => unknown): ValidationError => {
  try {
    call();
  } catch (error) {
    return error as ValidationError;
  }
  throw new Error('Nothing was thrown.');
};

describe('A guard that is missing', () => {
  it('is a 500 whose body says nothing, and the text for developers is in the log', () => {
    const { misuse, lines } = logOf();
    const error = thrownBy(() => misuse.ownerOf({ userId: undefined }));
    expect([ValidationError.is(error), error.getStatus(), error.field]).toEqual([true, 500, 'userId']);
    expect(error.getResponse()).toEqual({ statusCode: 500, message: 'Internal Server Error' });
    expect(lines).toEqual([expect.stringMatching(/answered 500.*userId: is present but undefined.*guard/)]);
  });

  it('what a visitor can be at fault for is a 400 that says so, and no line in the log', () => {
    const { misuse, lines } = logOf();
    for (const options of [{ userId: '' }, { userId: 'a\nb' }, { foo: 1 }]) {
      const error = thrownBy(() => misuse.ownerOf(options));
      expect([error.getStatus(), error.code]).toEqual([400, 'VALIDATION_FAILED']);
      expect(error.getResponse()).toMatchObject({ field: error.field });
    }
    expect(lines).toEqual([]);
    expect([misuse.ownerOf({ userId: 'alice' }), misuse.ownerOf({ userId: null }), misuse.ownerOf({})]).toEqual(['alice', null, undefined]);
  });
});
