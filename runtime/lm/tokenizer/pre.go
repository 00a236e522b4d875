package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A splitter is one pre-tokenizer: it emits the pieces of s, which is not
// empty. first: s, or the piece, starts where the whole text starts.
type splitter func(s string, first bool, emit emitter) error

type emitter func(piece string, first bool) error

var splitterKinds = map[string]kind[[]splitter]{
	"ByteLevel":       {func(c *component) ([]splitter, error) { return []splitter{byteLevelSplitter(c)}, nil }, times(3)},
	"Metaspace":       {metaspaceSplitter, func(c *component) int { return len(c.Replacement) + 1 }},
	"Split":           {splitSplitter, nil},
	"WhitespaceSplit": {func(*component) ([]splitter, error) { return cut1(unicode.IsSpace, "Removed"), nil }, nil},
	"Whitespace": {func(*component) ([]splitter, error) { // \w+|[^\w\s]+
		return slices.Concat(cut1(unicode.IsSpace, "Removed"), cut1(isWord, "Contiguous")), nil
	}, nil},
	"BertPreTokenizer": {func(*component) ([]splitter, error) {
		return slices.Concat(cut1(unicode.IsSpace, "Removed"), cut1(punctuationSet(), "Isolated")), nil
	}, nil},
	"Digits": {func(c *component) ([]splitter, error) {
		if c.IndividualDigits {
			return cut1(numberSet(), "Isolated"), nil
		}
		return cut1(numberSet(), "Contiguous"), nil
	}, nil},
	"Punctuation": {func(c *component) ([]splitter, error) {
		behavior := cmp.Or(c.Behavior, "Isolated")
		if !slices.Contains(behaviors, behavior) {
			return nil, unsupported("pre_tokenizer Punctuation: behavior %q", behavior)
		}
		return cut1(punctuationSet(), behavior), nil
	}, nil},
	"UnicodeScripts": {func(*component) ([]splitter, error) { return []splitter{scriptSplitter()}, nil }, nil},
	"CharDelimiterSplit": {func(c *component) ([]splitter, error) {
		if utf8.RuneCountInString(c.Delimiter) != 1 {
			return nil, bad("CharDelimiterSplit: delimiter %q must be one character", c.Delimiter)
		}
		return []splitter{cutter(findString(c.Delimiter), "Removed")}, nil
	}, nil},
	"FixedLength": {func(c *component) ([]splitter, error) {
		if c.Length < 1 {
			return nil, bad("FixedLength: length %d must be 1 or more", c.Length)
		}
		return []splitter{func(s string, first bool, emit emitter) error {
			n, at := 0, 0
			for i := range s {
				if n == c.Length {
					if err := emit(s[at:i], first); err != nil {
						return err
					}
					n, at, first = 0, i, false
				}
				n++
			}
			return emit(s[at:], first)
		}}, nil
	}, nil},
}

// cut1 cuts at each character of a set.
func cut1(set func(rune) bool, behavior string) []splitter {
	return []splitter{cutter(findRunes(set), behavior)}
}

// behaviors are what may become of matches and the text between.
var behaviors = []string{"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"}

// byteLevelSplitter spells every byte in the GPT-2 alphabet.
func byteLevelSplitter(c *component) splitter {
	regex := c.UseRegex == nil || *c.UseRegex
	return func(s string, first bool, emit emitter) error {
		if c.AddPrefixSpace != nil && *c.AddPrefixSpace && s[0] != ' ' {
			s = " " + s
		}
		for regex && s != "" {
			n := scanGPT2(s)
			if err := emit(spell(s[:n]), first); err != nil {
				return err
			}
			s, first = s[n:], false
		}
		if s == "" {
			return nil
		}
		return emit(spell(s), first)
	}
}

// The GPT-2 alphabet: printable Latin-1 characters stand for themselves, all
// other bytes in turn for U+0100 and on.
var byteRune, runeByte = func() (to [256]rune, from map[rune]byte) {
	from = make(map[rune]byte, 256)
	next := rune(256)
	for b := range rune(256) {
		if '!' <= b && b <= '~' || 0xA1 <= b && b != 0xAD {
			to[b] = b
		} else {
			to[b] = next
			next++
		}
		from[to[b]] = byte(b)
	}
	return to, from
}()

func alphabetByte(r rune) (byte, bool) {
	b, ok := runeByte[r]
	return b, ok
}

func spell(s string) string {
	out := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		out = utf8.AppendRune(out, byteRune[s[i]])
	}
	return string(out)
}

// checkMetaspace fills in what old files leave out.
func (c *component) checkMetaspace() error {
	if utf8.RuneCountInString(c.Replacement) != 1 {
		return bad("Metaspace: replacement %q must be one character", c.Replacement)
	}
	if c.PrependScheme == "" {
		c.PrependScheme = "always"
	}
	switch c.PrependScheme {
	case "always", "first", "never":
	default:
		return unsupported("Metaspace: prepend_scheme %q", c.PrependScheme)
	}
	if c.AddPrefixSpace != nil && !*c.AddPrefixSpace && c.PrependScheme != "never" {
		return bad("Metaspace: add_prefix_space false contradicts prepend_scheme %q", c.PrependScheme)
	}
	return nil
}

func metaspaceSplitter(c *component) ([]splitter, error) {
	if err := c.checkMetaspace(); err != nil {
		return nil, err
	}
	keep := func(s string, first bool, emit emitter) error { return emit(s, first) }
	if c.Split == nil || *c.Split {
		keep = cutter(findString(c.Replacement), "MergedWithNext")
	}
	return []splitter{func(s string, first bool, emit emitter) error {
		s = strings.ReplaceAll(s, " ", c.Replacement)
		if (c.PrependScheme == "always" || c.PrependScheme == "first" && first) && !strings.HasPrefix(s, c.Replacement) {
			s = c.Replacement + s
		}
		return keep(s, first, emit)
	}}, nil
}

func splitSplitter(c *component) ([]splitter, error) {
	if c.Pattern == nil {
		return nil, bad("pre_tokenizer Split has no pattern")
	}
	if !slices.Contains(behaviors, c.Behavior) {
		return nil, unsupported("pre_tokenizer Split: behavior %q", c.Behavior)
	}
	if scan := c.Pattern.scanner(); scan != nil && c.Behavior == "Isolated" {
		return []splitter{func(s string, first bool, emit emitter) error {
			for s != "" {
				n := scan(s)
				if err := emit(s[:n], first); err != nil {
					return err
				}
				s, first = s[n:], false
			}
			return nil
		}}, nil
	}
	find, err := c.Pattern.finder()
	if err != nil {
		return nil, err
	}
	if !c.Invert {
		return []splitter{cutter(find, c.Behavior)}, nil
	}
	return []splitter{cutter(func(s string) ([]span, error) {
		spans, err := find(s)
		for i := range spans {
			spans[i].match = !spans[i].match
		}
		return spans, err
	}, c.Behavior)}, nil
}

// span is a stretch of bytes that a pattern matches, or one between matches.
type span struct {
	start, end int
	match      bool
}

// cutter cuts text into the spans that find returns, which cover it, and joins
// or drops some of them as behavior says.
func cutter(find finder, behavior string) splitter {
	return func(s string, first bool, emit emitter) error {
		spans, err := find(s)
		if err != nil {
			return err
		}
		out := spans[:0]
		switch behavior {
		case "Isolated":
			out = spans
		case "Removed":
			for _, p := range spans {
				if !p.match {
					out = append(out, p)
				}
			}
		case "Contiguous": // neighbours of a kind are one
			for _, p := range spans {
				if n := len(out); n > 0 && out[n-1].match == p.match {
					out[n-1].end = p.end
				} else {
					out = append(out, p)
				}
			}
		case "MergedWithPrevious": // text and one match behind it are one
			before := false
			for _, p := range spans {
				if n := len(out); n > 0 && p.match && !before {
					out[n-1].end = p.end
				} else {
					out = append(out, p)
				}
				before = p.match
			}
		case "MergedWithNext": // one match and the text behind it are one
			before := false
			for _, p := range spans {
				if n := len(out); n > 0 && !p.match && before {
					out[n-1].end = p.end
				} else {
					out = append(out, p)
				}
				before = p.match
			}
		}
		for _, p := range out {
			if err := emit(s[p.start:p.end], first && p.start == 0); err != nil {
				return err
			}
		}
		return nil
	}
}
