#include <errno.h>
#include <fcntl.h>

#ifndef F_GETFD /* Windows, where the command only says that it can't do anything */
#define F_GETFD 1
static int fcntl(int fd, int cmd) { return 0; }
#endif

/* Which of the standard descriptors were closed, a bit each, when the process
   began. It is looked at before Go's runtime starts, which opens /dev/null on
   them. */
int hotswap_closed_at_start;

__attribute__((constructor)) static void look_at_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
			hotswap_closed_at_start |= 1 << fd;
}
