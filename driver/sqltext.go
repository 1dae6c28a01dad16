package driver

import "strings"

// statement is one statement of an SQL text, cut into words.
type statement struct {
	text       string
	words      []string // identifiers, literals with their quotes, and single signs
	firstParam int      // how many parameters come before it in the text
	params     int      // how many "?" it has
}

// splitStatements cuts an SQL text at the semicolons outside of quotes and
// comments (https://www.sqlite.org/lang.html). It is for reading PRAGMA and
// ATTACH, not a parser: a trigger's body comes out in pieces.
func splitStatements(query string) []statement {
	var out []statement
	var cur statement
	start, params := 0, 0
	end := func(i int) {
		cur.text = strings.TrimSpace(query[start:i])
		if len(cur.words) > 0 {
			out = append(out, cur)
		}
		params += cur.params
		start, cur = i+1, statement{firstParam: params}
	}
	for i := 0; i < len(query); {
		switch b := query[i]; {
		case b == ';':
			end(i)
			i++
		case b == ' ' || b == '\t' || b == '\r' || b == '\n' || b == '\f':
			i++
		case strings.HasPrefix(query[i:], "--"):
			i = skipTo(query, i, "\n")
		case strings.HasPrefix(query[i:], "/*"):
			i = skipTo(query, i+2, "*/")
		case b == '\'' || b == '"' || b == '`' || b == '[':
			j := quotedEnd(query, i)
			cur.words = append(cur.words, query[i:j])
			i = j
		case isWordByte(b):
			j := i + 1
			for j < len(query) && isWordByte(query[j]) {
				j++
			}
			cur.words = append(cur.words, query[i:j])
			i = j
		default:
			if b == '?' {
				cur.params++
			}
			cur.words = append(cur.words, query[i:i+1])
			i++
		}
	}
	end(len(query))
	return out
}

func isWordByte(b byte) bool {
	return b == '_' || b == '$' || b >= 0x80 || '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
}

// skipTo returns the index behind the next end, or the length of the text.
func skipTo(query string, i int, end string) int {
	if j := strings.Index(query[i:], end); j >= 0 {
		return i + j + len(end)
	}
	return len(query)
}

// quotedEnd returns the index behind the quoted word that begins at i; within
// quotes, the doubled quote stands for itself.
func quotedEnd(query string, i int) int {
	q := query[i]
	if q == '[' {
		return skipTo(query, i, "]")
	}
	for j := i + 1; j < len(query); j++ {
		if query[j] == q {
			if j+1 < len(query) && query[j+1] == q {
				j++
				continue
			}
			return j + 1
		}
	}
	return len(query)
}

// unquote returns a word as SQLite compares names: without quotes, in lower case.
func unquote(word string) string {
	if len(word) >= 2 {
		switch q := word[0]; q {
		case '\'', '"', '`':
			word = strings.ReplaceAll(word[1:len(word)-1], string([]byte{q, q}), string(q))
		case '[':
			word = word[1 : len(word)-1]
		}
	}
	return strings.ToLower(word)
}
