/* A stand-in for the one function that Go's runtime takes from bcryptprimitives.dll,
   which Wine has from version 8.5 on. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom, of advapi32.dll */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T n)
{
	return SystemFunction036(data, (ULONG)n);
}
