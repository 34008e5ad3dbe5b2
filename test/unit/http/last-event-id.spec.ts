import { describe, expect, it } from '@jest/globals';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { lastEventIdOf } from '../../../lib/http/last-event-id.decorator.js';

describe('LastEventId', () => {
  it.each([
    [{ headers: { 'last-event-id': '7' }, query: { lastEventId: '3' } }, 7],
    [{ headers: {}, query: { lastEventId: '0' } }, 0],
    [{ headers: { 'last-event-id': '9007199254740991' } }, 9_007_199_254_740_991],
    [{ headers: { 'last-event-id': '' }, query: { lastEventId: '3' } }, 3],
    [{ headers: {}, query: { lastEventId: '' } }, undefined],
    [{ headers: {}, query: null }, undefined],
    [{}, undefined],
  ])('of %j is %p', (request, position) => {
    expect(lastEventIdOf(request)).toBe(position);
  });

  it.each(['-1', '1.5', '1e3', '0x10', ' 1', '1, 2', '٣', '9007199254740992', '99999999999999999', 'null', ['1', '2'], { a: '1' }])(
    'refuses %j',
    (value) => {
      const call = (): unknown => lastEventIdOf({ headers: {}, query: { lastEventId: value } });
      expect(call).toThrow(ValidationError);
      expect(call).toThrow(expect.objectContaining({ field: 'Last-Event-ID' }));
    },
  );
});
