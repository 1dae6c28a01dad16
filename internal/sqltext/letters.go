package sqltext

// classes says what each byte may be part of.
var classes = func() (c [256]uint8) {
	for b := range 256 {
		switch {
		case '0' <= b && b <= '9':
			c[b] = inWord | isDigit | isHex
		case 'a' <= b|0x20 && b|0x20 <= 'f' && b < 0x80:
			c[b] = inWord | isHex
		case 'a' <= b|0x20 && b|0x20 <= 'z' && b < 0x80, b == '_', b == '$', b >= 0x80:
			c[b] = inWord
		case b == ' ', '\t' <= b && b <= '\r': // '\v' continues white space, but begins none
			c[b] = isSpace
		}
	}
	return c
}()

const (
	inWord = 1 << iota
	isDigit
	isHex
	isSpace
)

func wordByte(b byte) bool { return classes[b]&inWord != 0 }
func digit(b byte) bool    { return classes[b]&isDigit != 0 }
func hex(b byte) bool      { return classes[b]&isHex != 0 }
func space(b byte) bool    { return classes[b]&isSpace != 0 }

// equalFold compares a word with a keyword in capitals, as SQLite does: only ASCII
// letters have case.
func equalFold(word, keyword string) bool {
	if len(word) != len(keyword) {
		return false
	}
	for i := range len(word) {
		b := word[i]
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		if b != keyword[i] {
			return false
		}
	}
	return true
}

// Lower puts a name into lower case as SQLite compares names: only ASCII letters.
func Lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := range b {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
