package sqltext

// BeginsWriting reports whether the text begins with a statement that needs the write lock
// of main, as far as its first words tell: INSERT, REPLACE, UPDATE, DELETE, CREATE of what
// is not temporary, ALTER, DROP, ANALYZE, REINDEX, and BEGIN IMMEDIATE or EXCLUSIVE. If it
// begins with WITH, which may go on either way, the answer is with. Unlike Classify it
// reads no further than that.
func BeginsWriting(text string, with bool) bool {
	text = text[skip(text):]
	if text == "" {
		return false
	}
	switch text[0] {
	case 'i', 'I':
		return isFirst(text, "INSERT")
	case 'u', 'U':
		return isFirst(text, "UPDATE")
	case 'd', 'D':
		return isFirst(text, "DELETE") || isFirst(text, "DROP")
	case 'r', 'R':
		return isFirst(text, "REPLACE") || isFirst(text, "REINDEX")
	case 'w', 'W':
		return with && isFirst(text, "WITH")
	case 'a', 'A':
		return isFirst(text, "ALTER") || isFirst(text, "ANALYZE")
	case 'c', 'C':
		what, ok := after(text, "CREATE")
		return ok && !isFirst(what, "TEMP") && !isFirst(what, "TEMPORARY")
	case 'b', 'B':
		how, ok := after(text, "BEGIN")
		return ok && (isFirst(how, "IMMEDIATE") || isFirst(how, "EXCLUSIVE"))
	default:
		return false
	}
}

// BeginsWithBegin reports whether the text does.
func BeginsWithBegin(text string) bool { return isFirst(text[skip(text):], "BEGIN") }

// Defines reports whether the text begins with CREATE, DROP, ALTER, ANALYZE or REINDEX, of
// which only what SQLite compiles tells whether it writes, and what.
func Defines(text string) bool {
	text = text[skip(text):]
	return isFirst(text, "CREATE") || isFirst(text, "DROP") || isFirst(text, "ALTER") || isFirst(text, "ANALYZE") || isFirst(text, "REINDEX")
}

// BeginsAltering reports whether the text begins with what may change a schema, or its cookie.
func BeginsAltering(text string) bool { return Defines(text) || isFirst(text[skip(text):], "VACUUM") }

// skip is how many bytes come before the first word: space, comments, a byte order mark.
func skip(text string) (n int) {
	for n < len(text) {
		switch text[n] {
		case ' ', '\t', '\n', '\f', '\r':
			n++
		case '-', '/', 0xEF:
			kind, bytes := next(text[n:])
			if kind != Comment && kind != Space {
				return n
			}
			n += bytes
		default:
			return n
		}
	}
	return n
}

// after returns the text from the word after the keyword on, if it begins with that.
func after(text, keyword string) (rest string, ok bool) {
	if !isFirst(text, keyword) {
		return "", false
	}
	text = text[len(keyword):]
	return text[skip(text):], true
}

func isFirst(text, keyword string) bool {
	n := len(keyword)
	return len(text) >= n && equalFold(text[:n], keyword) && (len(text) == n || !wordByte(text[n]))
}
