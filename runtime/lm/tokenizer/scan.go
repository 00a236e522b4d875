package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// The patterns of the three big byte-level families. Every character falls
// into some alternative, so matches follow one another without gaps and a
// scanner need only tell the length of the next one.
const (
	patternGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// scanners hold for each pattern a function from a text to the length of its
// first match.
var scanners = map[string]func(string) int{
	patternGPT2:   scanGPT2,
	patternLlama3: func(s string) int { return scanLlama3(s, 3) },
	patternQwen2:  func(s string) int { return scanLlama3(s, 1) },
}

// Classes of characters, as bits.
const (
	letter  = 1 << iota // \p{L}
	number              // \p{N}
	blank               // \s without newline
	newline             // \r, \n
	other
	space = blank | newline
)

var asciiClass = func() (t [utf8.RuneSelf]uint8) {
	for r := range rune(utf8.RuneSelf) {
		t[r] = slowClass(r)
	}
	return t
}()

func slowClass(r rune) uint8 {
	switch r = standIn(r); {
	case r == '\r' || r == '\n':
		return newline
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return blank
	}
	return other
}

// class returns the class and the length of the character at s[i], 0, 0 at the end.
func class(s string, i int) (uint8, int) {
	if i >= len(s) {
		return 0, 0
	}
	if s[i] < utf8.RuneSelf {
		return asciiClass[s[i]], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	return slowClass(r), n
}

// run returns the end of the characters from i on that are of the classes.
func run(s string, i int, classes uint8) int {
	for {
		c, n := class(s, i)
		if c&classes == 0 {
			return i
		}
		i += n
	}
}

func scanGPT2(s string) int {
	if n := contraction(s, false); n > 0 {
		return n
	}
	i := 0
	if s[0] == ' ' {
		i = 1
	}
	if c, n := class(s, i); c&(letter|number|other) != 0 {
		return run(s, i+n, c)
	}
	return scanSpace(s)
}

// scanLlama3 scans the patterns of Llama 3 (digits 3) and Qwen2 (digits 1).
func scanLlama3(s string, digits int) int {
	if n := contraction(s, true); n > 0 {
		return n
	}
	c, n := class(s, 0)
	next, m := class(s, n)
	switch {
	case c == letter:
		return run(s, n, letter)
	case c != newline && c != number && next == letter:
		return run(s, n+m, letter)
	case c == number:
		for ; digits > 1 && next == number; digits-- {
			n += m
			next, m = class(s, n)
		}
		return n
	case c == other:
		return run(s, run(s, n, other), newline)
	case s[0] == ' ' && next == other:
		return run(s, run(s, n+m, other), newline)
	}
	last := 0 // end of the last newline in the white space
	for i := 0; ; i += n {
		if c, n = class(s, i); c&space == 0 {
			break
		}
		if c == newline {
			last = i + n
		}
	}
	if last > 0 {
		return last
	}
	return scanSpace(s)
}

// scanSpace matches \s+(?!\S)|\s+ : white space, less its last character if
// that leaves some and something follows.
func scanSpace(s string) int {
	i, last := 0, 0 // last: start of the last white character
	for {
		c, n := class(s, i)
		if c&space == 0 {
			break
		}
		last = i
		i += n
	}
	if i == len(s) || last == 0 {
		return i
	}
	return last
}

// contraction returns the length of a match of 's|'t|'re|'ve|'m|'ll|'d. When
// case is folded, U+017F (long s) is an s too.
func contraction(s string, fold bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	lower := func(i int) byte {
		if i < len(s) && fold && 'A' <= s[i] && s[i] <= 'Z' {
			return s[i] + 'a' - 'A'
		}
		if i < len(s) {
			return s[i]
		}
		return 0
	}
	switch lower(1) {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if lower(2) == 'e' {
			return 3
		}
	case 'l':
		if lower(2) == 'l' {
			return 3
		}
	case "ſ"[0]:
		if fold && len(s) > 2 && s[1:3] == "ſ" {
			return 3
		}
	}
	return 0
}
