/** pagerelay as a library. @module */
export { createService, type Service, type ServiceOptions } from './service.ts';
