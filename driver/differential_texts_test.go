package driver_test

const diffSchema = `
CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT UNIQUE, n INTEGER CHECK (n < 1000), bl BLOB, d DATETIME, ts TIMESTAMP,
	day DATE, f REAL, ok BOOLEAN, x);
INSERT INTO a VALUES (1, 'one', 10, x'00ff', '2024-02-03 04:05:06.789', 1700000000, '2024-02-03', 0.5, 1, 'x'),
	(2, 'two', 20, NULL, NULL, 'no time', 1700000000123, 1e300, 0, 2), (3, 'three', NULL, '', 0, '', '2024-02-03T04:05Z', 3, 5, x'01'),
	(4, 'four', 40, zeroblob(2), 1.5, NULL, NULL, NULL, NULL, 4.5);
CREATE TABLE c (id INTEGER PRIMARY KEY AUTOINCREMENT, a_id INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED,
	p INTEGER REFERENCES a (id) ON DELETE CASCADE, s VARCHAR(10) NOT NULL DEFAULT 's');
INSERT INTO c (a_id, p) VALUES (1, 1), (1, 2), (NULL, 3);
CREATE TABLE w (k TEXT PRIMARY KEY, n DECIMAL(4, 2)) WITHOUT ROWID;
CREATE TABLE log (x);
CREATE TABLE latest (x);
CREATE VIEW av AS SELECT id, v, n FROM a WHERE n IS NOT NULL;
CREATE TRIGGER tr AFTER INSERT ON c BEGIN INSERT INTO log VALUES (new.id), (new.s); END;
CREATE TRIGGER no BEFORE DELETE ON a WHEN old.id = 4 BEGIN SELECT RAISE(ABORT, 'not the fourth'); END;`

// diffTexts are SQL texts by kind, one per line.
var diffTexts = map[string]string{
	"read": `
SELECT * FROM a
SELECT * FROM a ORDER BY id DESC LIMIT ?
SELECT * FROM c
SELECT * FROM av WHERE id >= ?
SELECT * FROM w
SELECT * FROM e
SELECT x FROM log ORDER BY 1
SELECT v, n FROM a WHERE id = ?
SELECT v AS "the name", n+1, a.* FROM a WHERE v = ? OR n > ?
SELECT ?1, ?2, ?1, typeof(?2)
SELECT ?, typeof(?), quote(?)
SELECT :a, @b, $c, :a, typeof(:a)
SELECT id FROM a WHERE id = :a OR v = @b
SELECT count(*), max(id), sum(n), avg(f), group_concat(v) FROM a
VALUES (?, 'v'), (2, ?)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i, i * 2.5, x'ff' FROM n LIMIT ?
SELECT a.id, c.s FROM a LEFT JOIN c ON c.a_id = a.id ORDER BY 1, 2
SELECT changes(), last_insert_rowid()
SELECT total_changes()
SELECT d, ts, day, ok, f, bl, x, typeof(x), typeof(d) FROM a WHERE id < ?
SELECT x'', zeroblob(3), NULL, 9223372036854775807, 1e999, -0.0, '', 'a' || char(0) || 'b'
SELECT CASE WHEN id = 3 THEN abs(-9223372036854775807 - 1) ELSE id END FROM a
SELECT abs(-9223372036854775807 - 1)
SELECT json_extract(?, '$.a')
SELECT * FROM a WHERE v LIKE 'O%' OR v GLOB ?
SELECT name, sql FROM sqlite_master ORDER BY name
SELECT * FROM pragma_table_info('a')
EXPLAIN QUERY PLAN SELECT * FROM a WHERE v = ?
SELECT side.s.x, rowid FROM side.s
SELECT * FROM temp.tt
SELECT id FROM a WHERE id IN (SELECT p FROM c) -- trailing
/* leading */ SELECT id FROM a LIMIT 2
SELECT * FROM nowhere
SELECT nothing FROM a`,
	"write": `
INSERT INTO a (v, n) VALUES (?, ?)
INSERT INTO a (id, v) VALUES (?, ?)
INSERT OR REPLACE INTO a (id, v, n) VALUES (?, ?, ?)
INSERT OR IGNORE INTO a (id, v) VALUES (?, ?)
INSERT OR FAIL INTO a (id, n) VALUES (NULL, 1), (?, 2), (?, 3)
INSERT OR ROLLBACK INTO a (id) VALUES (?)
INSERT OR ABORT INTO a (id, n) VALUES (NULL, 1), (1, 2)
INSERT INTO a (id, v) VALUES (?, ?) RETURNING id, v, d
INSERT INTO a (v) VALUES ('u') ON CONFLICT (v) DO UPDATE SET n = coalesce(n, 0) + 1
INSERT INTO a (x, bl, d) VALUES (:a, $c, @b)
INSERT INTO a (x) VALUES (:a) RETURNING id, x, typeof(x)
UPDATE a SET n = n + ? WHERE id > ?
UPDATE OR FAIL a SET n = n * 30
UPDATE OR IGNORE a SET v = ?
UPDATE a SET v = ? WHERE id = ? RETURNING *
UPDATE a SET bl = ?, d = ?, ts = ?, day = ?, f = ?, ok = ?, x = ? WHERE id % 2 = ?
UPDATE a SET x = @b WHERE id = :a
UPDATE w SET n = n / 0 RETURNING n
DELETE FROM a WHERE id = ?
DELETE FROM a WHERE id > ? RETURNING id
DELETE FROM log
DELETE FROM w WHERE k = ?;
INSERT INTO c (a_id, p) VALUES (?, ?)
INSERT INTO c (s) VALUES (?)
REPLACE INTO w VALUES (?, ?)
INSERT INTO w SELECT v, n FROM a WHERE v IS NOT NULL
WITH q(x) AS (VALUES (?), ('q')) INSERT INTO w (k) SELECT x FROM q
INSERT INTO e VALUES (?, ?)
INSERT INTO temp.tt VALUES (?)
INSERT INTO side.s VALUES (?)
UPDATE side.s SET x = x + ? RETURNING *
UPDATE av SET v = 1`,
	"schema": `
CREATE TABLE e (i INTEGER, y)
CREATE TABLE IF NOT EXISTS e (y TEXT, i BOOLEAN)
DROP TABLE e
DROP TABLE IF EXISTS e
ALTER TABLE e ADD COLUMN z DEFAULT 'late'
ALTER TABLE a ADD COLUMN late
ALTER TABLE a ADD COLUMN later DATETIME DEFAULT 0
ALTER TABLE a DROP COLUMN late
ALTER TABLE a RENAME COLUMN x TO xx
ALTER TABLE a RENAME COLUMN xx TO x
CREATE INDEX IF NOT EXISTS ai ON a (n)
CREATE UNIQUE INDEX IF NOT EXISTS au ON a (n)
DROP INDEX IF EXISTS ai
DROP INDEX au
CREATE TEMP TABLE IF NOT EXISTS tt (x)
CREATE TEMP TABLE w (k INTEGER, of_temp)
DROP TABLE temp.w
DROP VIEW av
CREATE VIEW IF NOT EXISTS av AS SELECT id, v, d AS n FROM a
CREATE TABLE IF NOT EXISTS side.s (x INTEGER)
VACUUM
REINDEX`,
	"pragma": `
PRAGMA foreign_keys
PRAGMA foreign_keys = 1
PRAGMA foreign_keys(0)
PRAGMA recursive_triggers = 1
PRAGMA query_only = 1
PRAGMA query_only = 0
PRAGMA query_only = 0
PRAGMA cache_size = 77
PRAGMA main.cache_size
PRAGMA user_version = 5
PRAGMA user_version
PRAGMA count_changes = 1
PRAGMA count_changes = 0
PRAGMA reverse_unordered_selects = 1
PRAGMA full_column_names = 1
PRAGMA short_column_names = 0
PRAGMA case_sensitive_like = 1
PRAGMA case_sensitive_like = 0
PRAGMA ignore_check_constraints = 1
PRAGMA ignore_check_constraints = 0
PRAGMA defer_foreign_keys = 1
PRAGMA journal_mode
PRAGMA journal_mode = WAL
PRAGMA journal_mode = DELETE
PRAGMA journal_mode = TRUNCATE
PRAGMA journal_mode = MEMORY
PRAGMA synchronous = 1
PRAGMA synchronous
PRAGMA busy_timeout = 1
PRAGMA legacy_alter_table = 1
PRAGMA database_list
PRAGMA table_info(a)
PRAGMA foreign_key_check
PRAGMA wal_checkpoint
PRAGMA integrity_check
PRAGMA no_such = 1
PRAGMA side.cache_size = 55
PRAGMA side.cache_size`,
	"attach": `
ATTACH 'DIR/side.sqlite3' AS side
ATTACH 'DIR/side.sqlite3' AS side; CREATE TABLE IF NOT EXISTS side.s (x INTEGER); INSERT INTO side.s VALUES (?)
ATTACH 'DIR/none/side.sqlite3' AS side
ATTACH ':memory:' AS side
DETACH side
DETACH DATABASE 'side'`,
	"odd": `

 
;
-- nothing
SELEC 1
SELECT 'unclosed
SELECT 1; SELECT ?, 3
SELECT 1; SELECT 2; 
SELECT 1;
SELECT 1;;
SELECT id FROM a; ;
SELECT 1; -- and a comment
INSERT INTO w VALUES ('z', 1);;
DELETE FROM w WHERE k = 'z'; 
 update w set n = ? ; 
INSERT INTO a (v) VALUES ('m1'); INSERT INTO a (v) VALUES (?); SELECT count(*) FROM a
INSERT INTO a (v) VALUES (?); UPDATE a SET n = ?
INSERT INTO a (x) VALUES ('m2'); INSERT INTO nowhere VALUES (1)
INSERT INTO a (x) VALUES (:a); INSERT INTO a (x) VALUES (@b)
SELECT 1; SELECT * FROM nowhere
CREATE TABLE IF NOT EXISTS e (i, y); INSERT INTO e VALUES (?, ?); SELECT * FROM e
PRAGMA cache_size = 33; SELECT * FROM a
PRAGMA foreign_keys = 1; PRAGMA recursive_triggers = 0; DELETE FROM log`,
	"control": `
BEGIN
BEGIN
BEGIN IMMEDIATE
COMMIT
COMMIT
END
ROLLBACK
ROLLBACK
SAVEPOINT s
SAVEPOINT s
RELEASE s
ROLLBACK TO s
BEGIN; INSERT INTO w VALUES ('b', 1); COMMIT
BEGIN; INSERT INTO w VALUES ('b', 1); INSERT INTO nowhere VALUES (1); COMMIT`,
}
