import type { Type } from '@nestjs/common';

type Call = (...args: unknown[]) => unknown;

/**
 * What the application holds in the place of a service of the present life: after a crash the same object leads to the next life's. A member
 * that a test sets (`jest.spyOn(tasks, 'submit')`) is kept here.
 * @param around changes a method.
 */
export function standIn<T extends object>(
  type: Type<T>,
  present: () => T,
  around: (member: PropertyKey, call: Call) => Call = (_, call) => call,
): T {
  return new Proxy(Object.create(type.prototype as object) as T, {
    get(own, member) {
      if (Object.hasOwn(own, member)) return Reflect.get(own, member);
      const target = present();
      const value: unknown = Reflect.get(target, member, target);
      return typeof value === 'function' && member !== 'constructor' ? around(member, value.bind(target) as Call) : value;
    },
    has: (own, member) => Reflect.has(own, member) || Reflect.has(present(), member),
  });
}
