package swapper

import "strings"

// foreign are the files that are sent in a database's stead, by how they begin.
var foreign = []struct{ begins, what, hint string }{
	{"\x1f\x8b", "compressed by gzip", "unpack it on the way: gunzip -c FILE | hotswap cp - DST"},
	{"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it on the way: zstd -dc FILE | hotswap cp - DST"},
	{"\xfd7zXZ\x00", "compressed by xz", "unpack it on the way: xz -dc FILE | hotswap cp - DST"},
	{"BZh", "compressed by bzip2", "unpack it on the way: bzip2 -dc FILE | hotswap cp - DST"},
	{"PK\x03\x04", "a zip archive", "unpack it on the way: unzip -p FILE | hotswap cp - DST"},
	// https://www.sqlite.org/fileformat2.html#walformat and what follows there.
	{"\x37\x7f\x06\x82", "a database's -wal", "send the database itself"},
	{"\x37\x7f\x06\x83", "a database's -wal", "send the database itself"},
	{"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", "a database's -journal", "send the database itself"},
	{"\x18\xe2\x2d\x00", "a database's -shm", "send the database itself"}, // in the machine's order of bytes
	{"\x00\x2d\xe2\x18", "a database's -shm", "send the database itself"},
	{"PRAGMA ", sqlText, sqlHint}, // what .dump begins with
	{"BEGIN", sqlText, sqlHint},
	{"CREATE ", sqlText, sqlHint},
	{"INSERT ", sqlText, sqlHint},
	{"--", sqlText, sqlHint},
	{"/*", sqlText, sqlHint},
}

const (
	sqlText = "SQL text"
	sqlHint = "make a database of it first: sqlite3 new.sqlite3 < FILE"
)

// checkForeign says what a source is that is no database, if it is of a known
// sort.
func checkForeign(head []byte) error {
	for _, f := range foreign {
		if strings.HasPrefix(string(head), f.begins) {
			return bad(f.hint, "the source is not an SQLite database but %s", f.what)
		}
	}
	return nil
}
