import { Injectable } from '@nestjs/common';

/** Stands for a service of somebody else's. It is down until somebody on the page repairs it. */
@Injectable()
export class PaymentGateway {
  isUp = false;

  charge(cents: number): string {
    if (!this.isUp) throw new Error('The payment gateway does not answer.');
    return `receipt-${cents}-${Date.now().toString(36)}`;
  }
}
