#include <pthread.h>
#include "_cgo_export.h"

static void *start(void *none) {
	hotswapPeersOutside();
	return none;
}

/* Runs hotswapPeersOutside on a thread of its own, which ends with it. */
int hotswap_peers_outside(void) {
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, start, NULL);
	if (rc == 0)
		pthread_detach(thread);
	return rc;
}
