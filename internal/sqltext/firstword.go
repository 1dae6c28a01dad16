package sqltext

// BeginsChange reports whether the text begins with INSERT, REPLACE, UPDATE or DELETE; if it
// begins with WITH, which may go on either way, the answer is with. Unlike Classify it
// reads no further than that.
func BeginsChange(text string, with bool) bool {
	for i := 0; i < len(text); {
		switch text[i] {
		case ' ', '\t', '\n', '\f', '\r':
			i++
		case 'i', 'I':
			return isFirst(text[i:], "INSERT")
		case 'u', 'U':
			return isFirst(text[i:], "UPDATE")
		case 'd', 'D':
			return isFirst(text[i:], "DELETE")
		case 'r', 'R':
			return isFirst(text[i:], "REPLACE")
		case 'w', 'W':
			return with && isFirst(text[i:], "WITH")
		case '-', '/', 0xEF: // a comment, a byte order mark
			kind, n := next(text[i:])
			if kind != Comment && kind != Space {
				return false
			}
			i += n
		default:
			return false
		}
	}
	return false
}

func isFirst(text, keyword string) bool {
	n := len(keyword)
	return len(text) >= n && equalFold(text[:n], keyword) && (len(text) == n || !wordByte(text[n]))
}
