/*
 * libevent's utilities can look up host names.  Nothing here does, and the
 * resolver does not work in static programs: these six take its place, so
 * that it is not linked.
 */
#include <netdb.h>
#include <stddef.h>

int
getaddrinfo(const char *restrict node, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict res)
{
	return EAI_FAIL;
}

void
freeaddrinfo(struct addrinfo *res)
{
}

const char *
gai_strerror(int e)
{
	return "no resolver";
}

int
getnameinfo(const struct sockaddr *restrict sa, socklen_t salen,
    char *restrict host, socklen_t hostlen, char *restrict serv,
    socklen_t servlen, int flags)
{
	return EAI_FAIL;
}

struct servent *
getservbyname(const char *name, const char *proto)
{
	return NULL;
}

struct protoent *
getprotobynumber(int proto)
{
	return NULL;
}
