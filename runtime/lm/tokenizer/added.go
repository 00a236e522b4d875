package tokenizer

import (
	"iter"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is one entry of "added_tokens". The white space next to it
// belongs to it if lstrip or rstrip say so.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Lstrip     bool   `json:"lstrip"`
	Rstrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`

	pattern string // Content, normalized if Normalized: what the text and Decode have
	skip    bool   // by Decode: pattern is the Content of a special token (the library's rule)
}

// maxAdded bounds one added token, in bytes.
const maxAdded = 1024

// setAdded gives the added tokens their ids as the library does: that of the
// model's token of the same spelling, else the next free one. The library
// overlooks ids in the file that say otherwise; here they are an error.
func (t *Tokenizer) setAdded() error {
	t.added = map[int32]*addedToken{}
	t.addedID = map[string]int32{}
	next := int32(t.vocab.count)
	for i := range t.cfg.Added {
		a := &t.cfg.Added[i]
		if a.Content == "" || len(a.Content) > maxAdded {
			return bad("added token %d: %d bytes long, must be 1 to %d", a.ID, len(a.Content), maxAdded)
		}
		if _, twice := t.addedID[a.Content]; twice {
			return bad("added token %q is listed twice", a.Content)
		}
		id := t.vocab.id(a.Content)
		own := id >= 0
		if !own {
			id = next
		}
		if a.ID < 0 { // it is for us to give
			a.ID = id
		}
		if a.ID != id {
			return bad("added token %q has id %d, must have %d (the next free one or that of the same word in the vocabulary)", a.Content, a.ID, id)
		}
		if _, taken := t.vocab.token(id); taken && !own {
			return bad("added token %q: id %d is taken by the vocabulary, which leaves out smaller ids", a.Content, id)
		}
		t.added[id], t.addedID[a.Content] = a, id
		next = max(next, id+1)
		t.size = max(t.size, int(id)+1)
	}
	return nil
}

func (t *Tokenizer) setMatchers() error {
	for i := range t.cfg.Added {
		a := &t.cfg.Added[i]
		a.pattern = a.Content
		if !a.Normalized {
			t.exact.add(a)
		} else {
			for _, normalize := range t.norm {
				var err error
				if a.pattern, err = normalize(a.pattern); err != nil {
					return err
				}
			}
			if a.pattern == "" {
				return bad("added token %q is normalized to nothing", a.Content)
			}
			t.loose.add(a)
		}
		other := t.added[t.addedID[a.pattern]]
		a.skip = other != nil && other.Content == a.pattern && other.Special
	}
	for _, m := range []*matcher{&t.exact, &t.loose} {
		slices.SortFunc(m.tokens, func(a, b *addedToken) int { return strings.Compare(a.pattern, b.pattern) })
		for i := 1; i < len(m.tokens); i++ {
			if a, b := m.tokens[i-1], m.tokens[i]; a.pattern == b.pattern {
				return bad("added tokens %q and %q are normalized to the same word", a.Content, b.Content)
			}
		}
	}
	return nil
}

// matcher finds added tokens: at the leftmost place the longest, none overlapping.
type matcher struct {
	tokens []*addedToken // sorted by pattern
	first  [256]bool     // bytes with which a pattern starts
}

func (m *matcher) add(a *addedToken) {
	m.tokens = append(m.tokens, a)
	m.first[a.pattern[0]] = true
}

// longest returns the token with the longest pattern that s starts with, nil if
// none. The tokens that agree with s on n bytes are a range, smaller at each byte.
func (m *matcher) longest(s string) (found *addedToken) {
	agree := m.tokens
	for n := 0; n < len(s) && len(agree) > 0; n++ {
		c := s[n]
		agree = agree[sort.Search(len(agree), func(i int) bool { return agree[i].pattern[n] >= c }):]
		agree = agree[:sort.Search(len(agree), func(i int) bool { return agree[i].pattern[n] > c })]
		if len(agree) > 0 && len(agree[0].pattern) == n+1 { // sorts before all longer ones
			found, agree = agree[0], agree[1:]
		}
	}
	return found
}

// part is an added token, or a piece of text and where it starts.
type part struct {
	text  string
	token *addedToken
	start int
}

// split cuts s at its added tokens. plain: not at special ones. Nor at those that span one of cuts, offsets in ascending order.
func (m *matcher) split(s string, plain bool, cuts []int) iter.Seq[part] {
	return func(yield func(part) bool) {
		done := 0 // everything before was yielded
		for i := 0; i < len(s); {
			if !m.first[s[i]] {
				i++
				continue
			}
			a := m.longest(s[i:])
			if a == nil {
				i++
				continue
			}
			start, stop := i, i+len(a.pattern)
			i = stop
			if a.Special && (plain || within(cuts, start+1, stop)) || a.SingleWord && (endsInWord(s[:start]) || startsWithWord(s[stop:])) {
				continue
			}
			if a.Lstrip {
				start = max(done, len(strings.TrimRightFunc(s[:start], unicode.IsSpace)))
			}
			if a.Rstrip {
				stop = len(s) - len(strings.TrimLeftFunc(s[stop:], unicode.IsSpace))
			}
			if a.Lstrip && start >= stop { // the space after the one before was all of it: the library drops what is empty
				continue
			}
			if done < start && !yield(part{text: s[done:start], start: done}) {
				return
			}
			if !yield(part{token: a}) {
				return
			}
			done = stop
		}
		if done < len(s) {
			yield(part{text: s[done:], start: done})
		}
	}
}

func endsInWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord is \w of Unicode's UTS 18: Alphabetic, Mark, Nd, Pc, Join_Control.
func isWord(r rune) bool {
	r = standIn(r)
	return unicode.In(r, unicode.L, unicode.Nl, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control,
		unicode.Other_Alphabetic, unicode.Other_Lowercase, unicode.Other_Uppercase)
}
