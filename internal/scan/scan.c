// The two aggregates by which a table and its indexes are compared: see scan.go.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Declared here rather than included, since with -tags libsqlite3 there may be no
// header; and weak, as this package is linked by itself first.
typedef struct sqlite3 sqlite3;
typedef struct sqlite3_context sqlite3_context;
typedef struct sqlite3_value sqlite3_value;
typedef long long sqlite3_int64;
#define WEAK __attribute__((weak))
extern int sqlite3_create_function_v2(sqlite3 *, const char *, int, int, void *,
	void (*)(sqlite3_context *, int, sqlite3_value **),
	void (*)(sqlite3_context *, int, sqlite3_value **),
	void (*)(sqlite3_context *), void (*)(void *)) WEAK;
extern void *sqlite3_aggregate_context(sqlite3_context *, int) WEAK;
extern void *sqlite3_user_data(sqlite3_context *) WEAK;
extern int sqlite3_value_type(sqlite3_value *) WEAK;
extern sqlite3_int64 sqlite3_value_int64(sqlite3_value *) WEAK;
extern double sqlite3_value_double(sqlite3_value *) WEAK;
extern const void *sqlite3_value_blob(sqlite3_value *) WEAK;
extern int sqlite3_value_bytes(sqlite3_value *) WEAK;
extern void sqlite3_result_blob(sqlite3_context *, const void *, int, void (*)(void *)) WEAK;
extern void sqlite3_result_error_nomem(sqlite3_context *) WEAK;
extern void sqlite3_result_error(sqlite3_context *, const char *, int) WEAK;

#define SQLITE_INTEGER 1
#define SQLITE_FLOAT 2
#define SQLITE_TEXT 3
#define SQLITE_BLOB 4
#define SQLITE_NULL 5
#define SQLITE_UTF8 1
#define TRANSIENT ((void (*)(void *)) - 1)

// What the first argument of hotswap_ordered says of each column of the key, and in
// its first byte of the whole; as scan.go has it.
#define UNIQUE 1
#define NOCASE 1
#define RTRIM 2
#define COLLATION 3
#define DESC 4
#define REAL 8

#define MAXCOLS 64

struct value {
	int type;
	sqlite3_int64 i;
	double r;
	int n;      // bytes of a text or blob,
	size_t off; // and where in row.bytes they begin
};

struct row {
	struct value v[MAXCOLS];
	unsigned char *bytes;
	size_t len, cap;
};

// sum is that of the hashes of all rows, in two words, and their number.
struct sum {
	uint64_t a, b, n;
};

struct ordered {
	struct sum sum;
	struct row rows[2]; // the latest and the one before
	int failed;         // no memory
	unsigned char disorder, twins; // disorder is also what can't be told
};

struct seed {
	uint64_t a, b;
};

static uint64_t mix(uint64_t h) { // Stafford's thirteenth variant of MurmurHash3's finalizer
	h ^= h >> 30;
	h *= 0xbf58476d1ce4e5b9ull;
	h ^= h >> 27;
	h *= 0x94d049bb133111ebull;
	return h ^ h >> 31;
}

static void eat(struct seed *h, uint64_t word) {
	h->a = mix(h->a ^ word);
	h->b = (h->b ^ mix(word + 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;
	h->b ^= h->b >> 32;
}

static void eat_bytes(struct seed *h, const unsigned char *p, int n) {
	uint64_t word;
	eat(h, (uint64_t)n);
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		eat(h, word);
	}
	if (n > 0) {
		word = 0;
		memcpy(&word, p, (size_t)n);
		eat(h, word);
	}
}

static void add(struct sum *s, const struct seed *seed, int argc, sqlite3_value **argv) {
	struct seed h = *seed;
	for (int i = 0; i < argc; i++) {
		int type = sqlite3_value_type(argv[i]);
		eat(&h, (uint64_t)type);
		if (type == SQLITE_INTEGER) {
			eat(&h, (uint64_t)sqlite3_value_int64(argv[i]));
		} else if (type == SQLITE_FLOAT) {
			double r = sqlite3_value_double(argv[i]);
			uint64_t word;
			memcpy(&word, &r, 8);
			eat(&h, word);
		} else if (type != SQLITE_NULL) {
			const void *p = sqlite3_value_blob(argv[i]);
			eat_bytes(&h, p, sqlite3_value_bytes(argv[i]));
		}
	}
	s->a += mix(h.a ^ h.b << 1);
	s->b += mix(h.b ^ h.a >> 1);
	s->n++;
}

static int keep(struct row *row, int argc, sqlite3_value **argv) {
	row->len = 0;
	for (int i = 0; i < argc; i++) {
		struct value *v = &row->v[i];
		v->type = sqlite3_value_type(argv[i]);
		if (v->type == SQLITE_INTEGER) {
			v->i = sqlite3_value_int64(argv[i]);
		} else if (v->type == SQLITE_FLOAT) {
			v->r = sqlite3_value_double(argv[i]);
		} else if (v->type != SQLITE_NULL) {
			const void *p = sqlite3_value_blob(argv[i]);
			v->n = sqlite3_value_bytes(argv[i]);
			v->off = row->len;
			if (row->len + (size_t)v->n > row->cap) {
				size_t cap = 2 * (row->len + (size_t)v->n) + 64;
				unsigned char *bytes = realloc(row->bytes, cap);
				if (bytes == 0)
					return 0;
				row->bytes = bytes;
				row->cap = cap;
			}
			if (v->n > 0)
				memcpy(row->bytes + v->off, p, (size_t)v->n);
			row->len += (size_t)v->n;
		}
	}
	return 1;
}

// As sqlite3IntFloatCompare does.
static int compare_int_float(sqlite3_int64 i, double r) {
	if (r < -9223372036854775808.0)
		return 1;
	if (r >= 9223372036854775808.0)
		return -1;
	sqlite3_int64 y = (sqlite3_int64)r;
	if (i != y)
		return i < y ? -1 : 1;
	double s = (double)i;
	return s < r ? -1 : s > r;
}

static int compare_bytes(const unsigned char *a, int na, const unsigned char *b, int nb) {
	int n = na < nb ? na : nb;
	int c = n > 0 ? memcmp(a, b, (size_t)n) : 0;
	return c != 0 ? c : na - nb;
}

static unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

// As nocaseCollatingFunc does, which ends at a NUL.
static int compare_nocase(const unsigned char *a, int na, const unsigned char *b, int nb) {
	int n = na < nb ? na : nb;
	for (int i = 0; i < n; i++) {
		int c = lower(a[i]) - lower(b[i]);
		if (c != 0)
			return c;
		if (a[i] == 0)
			break;
	}
	return na - nb;
}

static int rank(int type) { return type == SQLITE_NULL ? 0 : type == SQLITE_TEXT ? 2 : type == SQLITE_BLOB ? 3 : 1; }

static int compare(const struct row *x, const struct row *y, int col, int collation) {
	const struct value *a = &x->v[col], *b = &y->v[col];
	int c = rank(a->type) - rank(b->type);
	if (c != 0 || a->type == SQLITE_NULL)
		return c;
	if (rank(a->type) == 1) {
		if (a->type == SQLITE_INTEGER)
			return b->type == SQLITE_INTEGER ? (a->i < b->i ? -1 : a->i > b->i) : compare_int_float(a->i, b->r);
		return b->type == SQLITE_INTEGER ? -compare_int_float(b->i, a->r) : (a->r < b->r ? -1 : a->r > b->r);
	}
	const unsigned char *p = x->bytes + a->off, *q = y->bytes + b->off;
	int n = a->n, m = b->n;
	if (a->type == SQLITE_TEXT && collation == NOCASE)
		return compare_nocase(p, n, q, m);
	if (a->type == SQLITE_TEXT && collation == RTRIM) {
		while (n > 0 && p[n - 1] == ' ')
			n--;
		while (m > 0 && q[m - 1] == ' ')
			m--;
	}
	return compare_bytes(p, n, q, m);
}

// hotswap_sum(VALUE...) is the sum of the hashes of all rows.
static void sum_step(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
	struct sum *s = sqlite3_aggregate_context(ctx, sizeof *s);
	if (s == 0)
		sqlite3_result_error_nomem(ctx);
	else
		add(s, sqlite3_user_data(ctx), argc, argv);
}

static void sum_final(sqlite3_context *ctx) {
	struct sum none = {0, 0, 0}, *s = sqlite3_aggregate_context(ctx, 0);
	sqlite3_result_blob(ctx, s != 0 ? s : &none, sizeof *s, TRANSIENT);
}

// hotswap_ordered(KEY, VALUE..., ROWID) is that of the values and the rowid, and
// whether each row comes after the one before it, by the key.
static void ordered_step(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
	struct ordered *o = sqlite3_aggregate_context(ctx, sizeof *o);
	if (o == 0 || o->failed) {
		sqlite3_result_error_nomem(ctx);
		return;
	}
	const unsigned char *key = sqlite3_value_blob(argv[0]);
	argc--, argv++;
	if (key == 0 || argc < 1 || argc > MAXCOLS || sqlite3_value_bytes(argv[-1]) != argc) {
		sqlite3_result_error(ctx, "hotswap_ordered: the key does not fit", -1);
		return;
	}
	struct row *now = &o->rows[o->sum.n & 1], *before = &o->rows[~o->sum.n & 1];
	if (!keep(now, argc, argv)) {
		o->failed = 1;
		sqlite3_result_error_nomem(ctx);
		return;
	}
	if (o->sum.n > 0) {
		int c = 0, nulls = 0;
		for (int i = 0; c == 0 && i < argc - 1; i++) {
			c = compare(before, now, i, key[i + 1] & COLLATION);
			if (key[i + 1] & DESC)
				c = -c;
			nulls |= now->v[i].type == SQLITE_NULL;
		}
		if (c == 0) {
			if ((key[0] & UNIQUE) && !nulls)
				o->twins = 1;
			c = compare(before, now, argc - 1, 0);
		}
		if (c >= 0)
			o->disorder = 1;
	}
	// What a REAL column has as an integer, which SQLite's search compares as it is,
	// comes here as a float; of so large a one there may be several.
	for (int i = 0; i < argc - 1; i++) {
		double r = (key[i + 1] & REAL) && now->v[i].type == SQLITE_FLOAT ? now->v[i].r : 0;
		if ((r >= 0x1p53 && r <= 0x1p63) || (r <= -0x1p53 && r >= -0x1p63))
			o->disorder = 1;
	}
	add(&o->sum, sqlite3_user_data(ctx), argc, argv);
}

static void ordered_final(sqlite3_context *ctx) {
	unsigned char out[sizeof(struct sum) + 2] = {0};
	struct ordered *o = sqlite3_aggregate_context(ctx, 0);
	if (o != 0) {
		memcpy(out, &o->sum, sizeof o->sum);
		out[sizeof o->sum] = o->disorder;
		out[sizeof o->sum + 1] = o->twins;
		free(o->rows[0].bytes);
		free(o->rows[1].bytes);
	}
	sqlite3_result_blob(ctx, out, sizeof out, TRANSIENT);
}

int hotswap_scan_register(void *db, uint64_t a, uint64_t b) {
	struct seed *s = malloc(sizeof *s), *o = malloc(sizeof *o);
	if (s == 0 || o == 0) {
		free(s);
		free(o);
		return 7;
	}
	*s = *o = (struct seed){a, b};
	// On an error the destructor has been called for it.
	int rc = sqlite3_create_function_v2(db, "hotswap_sum", -1, SQLITE_UTF8, s, 0, sum_step, sum_final, free);
	if (rc != 0) {
		free(o);
		return rc;
	}
	return sqlite3_create_function_v2(db, "hotswap_ordered", -1, SQLITE_UTF8, o, 0, ordered_step, ordered_final, free);
}
