package sqltext

import "strings"

// next returns the kind and the length of the token at the start of the text. The
// length is 0 at a zero byte, where a text ends for SQLite.
func next(z string) (Kind, int) {
	switch b := z[0]; {
	case wordByte(b):
		switch {
		case digit(b):
			return number(z)
		case b == '$':
			return param(z)
		case b|0x20 == 'x' && at(z, 1) == '\'':
			return blob(z)
		case b == 0xEF && strings.HasPrefix(z, "\xEF\xBB\xBF"):
			return Space, 3
		}
		i := 1
		for i < len(z) && wordByte(z[i]) {
			i++
		}
		return Word, i
	case b == ' ' || b == '\t' || b == '\n' || b == '\f' || b == '\r':
		i := 1
		for i < len(z) && space(z[i]) {
			i++
		}
		return Space, i
	}
	switch z[0] {
	case 0:
		return Illegal, 0
	case '-':
		switch at(z, 1) {
		case '-':
			if i := strings.IndexAny(z, "\n\x00"); i >= 0 {
				return Comment, i
			}
			return Comment, len(z)
		case '>':
			if at(z, 2) == '>' {
				return Operator, 3
			}
			return Operator, 2
		}
		return Operator, 1
	case '/':
		if at(z, 1) != '*' || at(z, 2) == 0 {
			return Operator, 1
		}
		z = z[:zero(z)]
		if i := strings.Index(z[2:], "*/"); i >= 0 {
			return Comment, 2 + i + 2
		}
		return Comment, len(z)
	case '\'', '"', '`':
		return quoted(z)
	case '[':
		z = z[:zero(z)]
		if i := strings.IndexByte(z, ']'); i >= 0 {
			return Quoted, i + 1
		}
		return Illegal, len(z)
	case '.':
		if digit(at(z, 1)) {
			return number(z)
		}
		return Operator, 1
	case '?':
		i := 1
		for digit(at(z, i)) {
			i++
		}
		return Param, i
	case '@', ':', '#':
		return param(z)
	case '=', '|':
		if at(z, 1) == z[0] {
			return Operator, 2
		}
		return Operator, 1
	case '<':
		if c := at(z, 1); c == '=' || c == '>' || c == '<' {
			return Operator, 2
		}
		return Operator, 1
	case '>':
		if c := at(z, 1); c == '=' || c == '>' {
			return Operator, 2
		}
		return Operator, 1
	case '!':
		if at(z, 1) == '=' {
			return Operator, 2
		}
		return Illegal, 1
	case '(', ')', ';', '+', '*', '%', ',', '&', '~':
		return Operator, 1
	}
	return Illegal, 1
}

func quoted(z string) (Kind, int) {
	q, i := z[0], 1
	for ; at(z, i) != 0; i++ {
		if z[i] != q {
			continue
		}
		if at(z, i+1) != q {
			if q == '\'' {
				return String, i + 1
			}
			return Quoted, i + 1
		}
		i++
	}
	return Illegal, i
}

func blob(z string) (Kind, int) {
	i := 2
	for hex(at(z, i)) {
		i++
	}
	kind := Blob
	if at(z, i) != '\'' || i%2 != 0 {
		kind = Illegal
		for at(z, i) != 0 && z[i] != '\'' {
			i++
		}
	}
	if at(z, i) != 0 {
		i++
	}
	return kind, i
}

// number reads 1, 1.5, .5, 1e-5, 0xFF, and 1_000 in any of them.
func number(z string) (Kind, int) {
	i := 0
	digits := func(is func(byte) bool) {
		for is(at(z, i)) || at(z, i) == '_' {
			i++
		}
	}
	if z[0] == '0' && at(z, 1)|0x20 == 'x' && hex(at(z, 2)) {
		i = 3
		digits(hex)
	} else {
		digits(digit)
		if at(z, i) == '.' {
			i++
			digits(digit)
		}
		if e := at(z, i+1); at(z, i)|0x20 == 'e' && (digit(e) || (e == '+' || e == '-') && digit(at(z, i+2))) {
			i += 2
			digits(digit)
		}
	}
	kind := Number
	for i < len(z) && wordByte(z[i]) {
		kind = Illegal
		i++
	}
	return kind, i
}

// param reads :name and its like, and Tcl's $ns::name(index).
func param(z string) (Kind, int) {
	n, i := 0, 1
	for ; i < len(z); i++ {
		switch c := z[i]; {
		case wordByte(c):
			n++
			continue
		case c == '(' && n > 0:
			for i++; at(z, i) != 0 && !space(z[i]) && z[i] != ')'; i++ {
			}
			if at(z, i) != ')' {
				return Illegal, i
			}
			return Param, i + 1
		case c == ':' && at(z, i+1) == ':':
			i++
			continue
		}
		break
	}
	if n == 0 {
		return Illegal, i
	}
	return Param, i
}

// at returns a byte of the text, or zero past its end.
func at(z string, i int) byte {
	if i < len(z) {
		return z[i]
	}
	return 0
}

// zero returns where the text ends for SQLite.
func zero(z string) int {
	if i := strings.IndexByte(z, 0); i >= 0 {
		return i
	}
	return len(z)
}
