package tokenizer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
	"golang.org/x/text/unicode/norm"
)

// small is a tokenizer.json with a bit of everything.
const small = `{"version":"1.0","truncation":null,"padding":null,
"added_tokens":[{"id":0,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
{"id":9,"content":"WORD","single_word":true,"lstrip":true,"rstrip":true,"normalized":true,"special":false}],
"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"},{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"},{"type":"Replace","pattern":{"Regex":"x+"},"content":"b"}]},
"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"Split","pattern":{"Regex":"(?i:'s|ab)|\\p{L}+(?!c)|[^\\s]"},"behavior":"Isolated","invert":false},{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true},{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}]},
"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}},
"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
"model":{"type":"BPE","dropout":null,"unk_token":"<s>","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"ignore_merges":false,
"vocab":{"<s>":0,"a":1,"b":2,"_":3,"ab":4,"_ab":5,"<0x0A>":6,"aa":7,"Ċ":8},"merges":["a b",["_","ab"],"a a"]}}`

func smallJSON(t testing.TB, old, new string) []byte {
	t.Helper()
	s := strings.Replace(small, `["_","ab"]`, `"_ ab"`, 1)
	if strings.Count(s, old) < 1 {
		t.Fatalf("%q is not in the small tokenizer", old)
	}
	return []byte(strings.Replace(s, old, new, 1))
}

func TestParseErrors(t *testing.T) {
	mustParse(t, smallJSON(t, "", ""), nil)
	for _, c := range []struct {
		old, new string
		kind     error
		message  string
	}{
		{`"vocab"`, `"vocab`, ErrFormat, "byte"},
		{`"version":"1.0"`, `"version":"1.0","version":"1.0"`, ErrFormat, "twice"},
		{`"version"`, `"more":1,"version"`, ErrUnsupported, `"more"`},
		{`"dropout"`, `"droplet":0,"dropout"`, ErrUnsupported, `"droplet"`},
		{`"type":"BPE"`, `"type":"Unigram"`, ErrFormat, `scores belong`},
		{`"type":"BPE"`, `"type":"Other"`, ErrUnsupported, `model "Other"`},
		{`"type":"BPE"`, `"type":"WordPiece"`, ErrFormat, "merges"},
		{`"dropout":null`, `"dropout":0.1`, ErrUnsupported, "dropout"},
		{`"vocab":{`, `"vocab":[["a",1],["a",2]],"vocabulary":{`, ErrFormat, `both "a"`},
		{`"vocab":{`, `"vocab":[["a","b"]],"vocabulary":{`, ErrFormat, "want [token, score]"},
		{`"unk_token":"<s>"`, `"unk_token":"<u>"`, ErrFormat, "unk_token"},
		{`"aa":7`, `"aa":6`, ErrFormat, "same id 6"},
		{`"aa":7`, `"aa":-1`, ErrFormat, "id -1"},
		{`"aa":7`, `"aa":7e3`, ErrFormat, "cannot unmarshal"},
		{`"aa":7`, `"aa":70000`, ErrFormat, "must be 0 to"},
		{`"a b"`, `"a b c"`, ErrFormat, "3 parts"},
		{`"a b"`, `"a z"`, ErrFormat, "merge 0"},
		{`"a b"`, `"b a"`, ErrFormat, "merge 0"},
		{`"a b"`, `" a"`, ErrFormat, "merge 0"},
		{`"id":9`, `"id":10`, ErrFormat, `"WORD" has id 10, must have 9`},
		{`"content":"WORD"`, `"content":"<s>"`, ErrFormat, "twice"},
		{`"content":"WORD"`, `"content":""`, ErrFormat, "0 bytes"},
		{`{"type":"NFC"}`, `{"type":"NFX"}`, ErrUnsupported, `normalizer "NFX"`},
		{`{"type":"NFC"}`, `{"type":"Precompiled","precompiled_charsmap":"AAAA"}`, ErrFormat, "precompiled_charsmap"},
		{`{"type":"NFC"}`, `{"type":"Precompiled"}`, ErrFormat, "precompiled_charsmap"},
		{`{"type":"NFC"}`, `{"type":"NFC","form":"c"}`, ErrUnsupported, `"form"`},
		{`"content":"b"`, `"content":"` + strings.Repeat("b", 2000) + `"`, ErrUnsupported, "times as long"},
		{`{"Regex":"x+"}`, `{"Regex":"[[^x]]"}`, ErrUnsupported, "nested"},
		{`{"Regex":"x+"}`, `{"Regex":"x{3"}`, ErrUnsupported, "{n,m}"},
		{`{"Regex":"x+"}`, `{"Regex":"+x"}`, ErrUnsupported, "nothing to repeat"},
		{`{"Regex":"x+"}`, `{"Regex":"[x"}`, ErrUnsupported, "without an end"},
		{`{"Regex":"x+"}`, `{"Regex":"(?<n>x)"}`, ErrUnsupported, "group (?<n"},
		{`{"Regex":"x+"}`, `{"Regex":"(x)\\1"}`, ErrUnsupported, `escape \1`},
		{`{"Regex":"x+"}`, `{"Regex":"[a&&b]"}`, ErrUnsupported, "nested"},
		{`{"Regex":"x+"}`, `{"Regex":"\\h"}`, ErrUnsupported, `\h`},
		{`{"Regex":"x+"}`, `{"Regex":"(?i:[a-z])"}`, ErrUnsupported, "case-folding"},
		{`{"Regex":"x+"}`, `{"Regex":"(?i:fi)"}`, ErrUnsupported, `"fi"`},
		{`{"Regex":"x+"}`, `{"Regex":"\\p{Nonsense}"}`, ErrUnsupported, "Nonsense"},
		{`{"Regex":"x+"}`, `{"Regex":"(x"}`, ErrUnsupported, "(x"},
		{`{"Regex":"x+"}`, `{"Regex":"x)"}`, ErrUnsupported, "unbalanced"},
		{`{"Regex":"x+"}`, `{}`, ErrUnsupported, "empty pattern"},
		{`"type":"Digits"`, `"type":"Bert"`, ErrUnsupported, `pre_tokenizer "Bert"`},
		{`"behavior":"Isolated"`, `"behavior":"Lost"`, ErrUnsupported, `"Lost"`},
		{`"prepend_scheme":"first"`, `"prepend_scheme":"last"`, ErrUnsupported, `"last"`},
		{`"prepend_scheme":"first"`, `"add_prefix_space":false`, ErrFormat, "contradicts"},
		{`"replacement":"_"`, `"replacement":"__"`, ErrFormat, "replacement"},
		{`"type":"TemplateProcessing"`, `"type":"BertProcessing"`, ErrFormat, `BertProcessing: no cls`},
		{`"type":"TemplateProcessing"`, `"type":"OtherProcessing"`, ErrUnsupported, `"OtherProcessing"`},
		{`"ids":[0]`, `"ids":[44]`, ErrFormat, "no token has id 44"},
		{`"special_tokens":{"<s>"`, `"special_tokens":{"<t>"`, ErrFormat, `"<s>" is not described`},
		{`{"Sequence":{"id":"A","type_id":0}}`, `{"Sequence":{"id":"B","type_id":0}}`, ErrFormat, "Sequence [A]"},
		{`"pair":[]`, `"pair":[{"Sequence":{"id":"A","type_id":0}}]`, ErrFormat, "text B stands 0 times"},
		{`"pair":[]`, `"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":-1}}]`, ErrFormat, "type -1"},
		{`"truncation":null`, `"truncation":{"max_length":8,"strategy":"Shortest"}`, ErrUnsupported, "Shortest"},
		{`"truncation":null`, `"truncation":{"max_length":8,"direction":"Up"}`, ErrUnsupported, "Up"},
		{`"truncation":null`, `"truncation":{"max_length":-8}`, ErrFormat, "max_length -8"},
		{`"padding":null`, `"padding":{"strategy":"All"}`, ErrFormat, "BatchLongest"},
		{`"padding":null`, `"padding":{"strategy":"BatchLongest","direction":"Up"}`, ErrUnsupported, "Up"},
		{`"padding":null`, `"padding":{"strategy":{"Fixed":100000000}}`, ErrFormat, "100000000"},
		{`,{"Sequence":{"id":"A","type_id":0}}`, ``, ErrFormat, "0 times"},
		{`{"type":"ByteFallback"}`, `{"type":"WordPieces"}`, ErrUnsupported, `decoder "WordPieces"`},
	} {
		_, err := Parse(smallJSON(t, c.old, c.new), nil)
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.message) {
			t.Errorf("%s for %s:\n got %v\nwant %v ... %s", c.new, c.old, err, c.kind, c.message)
		}
	}
}

func TestTokenizerConfig(t *testing.T) {
	data := smallJSON(t, "", "")
	for _, c := range []struct {
		conf     string
		n        int // times <s> round a text
		bos      bool
		template string
		err      string
	}{
		{`{}`, 1, false, "", ""},
		{`{"bos_token":"<s>","eos_token":null,"model_max_length":1e30,"chat_template":"T"}`, 1, true, "T", ""},
		{`{"bos_token":{"__type":"AddedToken","content":"<s>"},"chat_template":[{"name":"tool_use","template":"U"},{"name":"default","template":"D"}]}`, 1, true, "D", ""},
		{`{"bos_token":"<s>","add_bos_token":false,"tokenizer_class":"PreTrainedTokenizerFast"}`, 1, true, "", ""},
		{`{"bos_token":"<nix>"}`, 1, true, "", ""}, // gets an id
		{`{"bos_token":7}`, 0, false, "", "bos_token: 7 is no token"},
		{`{"split_special_tokens":"yes"}`, 0, false, "", "split_special_tokens"},
		{`{"unheard_of":true}`, 0, false, "", "unheard_of: unknown key"},
		{`{"unheard_of":null,"_commit_hash":"1","pad_token_id":3}`, 1, false, "", ""},
		{`{"tokenizer_class":"BertTokenizer"}`, 0, false, "", `kind "WordPiece"`},
		{`{"tokenizer_class":"WhisperTokenizer"}`, 0, false, "", `tokenizer_class: "WhisperTokenizer"`},
		{`{"tokenizer_class":"OwnTokenizer","auto_map":{"AutoTokenizer":["own.Own",null]}}`, 0, false, "", "auto_map"},
		{`{"do_lower_case":true}`, 1, false, "", ""}, // of classes that build their own
		{`{"added_tokens_decoder":{"9":{"content":"WORD"}}}`, 1, false, "", ""},
		{`{"added_tokens_decoder":{"8":{"content":"WORD"}}}`, 0, false, "", `token "WORD" has id 8, must have 9`},
		{`{"chat_template":[{"name":"tool_use","template":"U"}]}`, 1, false, "", ""},
		{`{"chat_template":1}`, 0, false, "", "chat_template"},
		{`[]`, 0, false, "", "must be a json object"},
		{`{"a":1,"a":2}`, 0, false, "", "twice"},
	} {
		tok, err := Parse(data, []byte(c.conf))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !(errors.Is(err, ErrFormat) || errors.Is(err, ErrUnsupported)) {
				t.Errorf("%s: %v, want %q", c.conf, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.conf, err)
			continue
		}
		tok = reload(t, tok)
		ids := encode(t, tok, "", true)
		_, bos := tok.BOS()
		if !slices.Equal(ids, make([]int32, c.n)) || bos != c.bos || tok.ChatTemplate() != c.template {
			t.Errorf("%s: ids %v, bos %v, template %q", c.conf, ids, bos, tok.ChatTemplate())
		}
	}
}

func TestLookups(t *testing.T) {
	tok := reload(t, mustParse(t, smallJSON(t, "", ""), nil))
	if n := tok.VocabSize(); n != 10 {
		t.Errorf("size %d, want 10", n)
	}
	for id := range int32(10) {
		s, ok := tok.Token(id)
		back, ok2 := tok.ID(s)
		if !ok || !ok2 || back != id {
			t.Errorf("token %d: %q %v, back %d %v", id, s, ok, back, ok2)
		}
	}
	for _, id := range []int32{-1, 10, 1 << 30} {
		if s, ok := tok.Token(id); ok {
			t.Errorf("token %d: %q", id, s)
		}
	}
	if id, ok := tok.ID("zz"); ok {
		t.Errorf("ID of no token: %d", id)
	}
}

// Every way to cut the ids of a text gives whole characters that add up to Decode.
func TestStream(t *testing.T) {
	texts, list := readGoldens(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	for i, g := range list {
		tok := mustParse(t, with(t, readTokenizer(t, g.Base), g.Set), nil)
		for k := range 600 {
			ids := g.IDs[k%len(g.IDs)]
			if k%2 == 1 {
				ids = make([]int32, 1+rnd.IntN(20))
				for j := range ids {
					ids[j] = int32(rnd.IntN(300))
				}
			}
			s := tok.NewStream(k%3 == 0)
			var text strings.Builder
			for _, id := range ids {
				piece := s.Next(id)
				if !utf8.ValidString(piece) {
					t.Fatalf("%d %s: piece %q of %q", i, g.Base, piece, texts[k%len(g.IDs)])
				}
				text.WriteString(piece)
			}
			text.WriteString(s.Flush())
			if want := tok.Decode(ids, k%3 == 0); text.String() != want {
				t.Fatalf("%d %s: %q in pieces, %q at once", i, g.Base, text.String(), want)
			}
		}
	}
}

// A four-byte character in four tokens comes out once, with the last.
func TestStreamWaits(t *testing.T) {
	tok := mustParse(t, readTokenizer(t, "gpt2"), nil)
	s := tok.NewStream(false)
	var got []string
	for _, b := range []byte("a\U0001F9FFb") {
		id, _ := tok.ID(string(byteRune[b]))
		got = append(got, s.Next(id))
	}
	if want := []string{"a", "", "", "", "\U0001F9FF", "b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// The byte-level tokenizers lose nothing.
func TestRoundTrip(t *testing.T) {
	texts, _ := readGoldens(t)
	for _, name := range []string{"gpt2", "llama3"} {
		tok := mustParse(t, readTokenizer(t, name), nil)
		for _, s := range texts {
			for _, ids := range [][]int32{encode(t, tok, s, false), encode(t, plain(tok), s, false)} {
				if got := tok.Decode(ids, false); got != s {
					t.Errorf("%s: %q came back as %q", name, s, got)
				}
			}
		}
	}
}

func TestSplitSpecial(t *testing.T) {
	tok := mustParse(t, readTokenizer(t, "llama3"), nil)
	eot, _ := tok.ID("<|eot_id|>")
	s := "Hi<|eot_id|>"
	if ids := encode(t, tok, s, false); !slices.Contains(ids, eot) {
		t.Errorf("Encode: %v without %d", ids, eot)
	}
	ids := encode(t, plain(tok), s, true)
	if slices.Contains(ids, eot) || ids[0] != tok.cfg.Prefix[0] || tok.Decode(ids, true) != s {
		t.Errorf("split: %v, which is %q", ids, tok.Decode(ids, true))
	}
}

// As WHATWG and Rust's String::from_utf8_lossy replace.
func TestInvalidUTF8(t *testing.T) {
	tok := mustParse(t, readTokenizer(t, "gpt2"), nil)
	for in, want := range map[string]string{
		"\xff":                 "\ufffd",
		"a\xe2\x82":            "a\ufffd",
		"\xf0\x9f\x98x":        "\ufffdx",
		"\xe2\x82\xe2\x82\xac": "\ufffd€",
		"\xc0\xaf":             "\ufffd\ufffd",
		"\xed\xa0\x80":         "\ufffd\ufffd\ufffd",
		"\xf4\x90\x80\x80":     "\ufffd\ufffd\ufffd\ufffd",
		"\xe2(\xa1":            "\ufffd(\ufffd",
		"\xf0\x80\x80\x41":     "\ufffd\ufffd\ufffdA",
	} {
		if got := validUTF8(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if got, want := encode(t, tok, in, true), encode(t, tok, want, true); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

// randomText draws from characters that the patterns tell apart.
func randomText(rnd *rand.Rand, n int) string {
	chars := []rune("  \t\n\r\v\u0085\u00a0\u3000\u2028aZéß你가\u0301'''sSſtTrReElLvVmMdD129²Ⅷ٣.,!?-_\u200d😀\ufffd\x00\u00ad")
	var b strings.Builder
	for range n {
		b.WriteRune(chars[rnd.IntN(len(chars))])
	}
	return b.String()
}

// The scanners find what the patterns they stand for find.
func TestScanners(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for pattern, scan := range scanners {
		expr, err := translate(pattern)
		if err != nil {
			t.Fatal(err)
		}
		re := regexp2.MustCompile(expr, regexp2.None)
		for range 4000 {
			s := randomText(rnd, 1+rnd.IntN(14))
			var want []string
			spans, err := findRegex(s, re)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range spans {
				want = append(want, s[p.start:p.end])
			}
			var got []string
			for rest := s; rest != ""; {
				n := scan(rest)
				got = append(got, rest[:n])
				rest = rest[n:]
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s on %q\n got %q\nwant %q", pattern, s, got, want)
			}
		}
	}
}

// Words of all lengths: looking at all pairs and the heap agree, runs of one
// letter among them.
func TestShortAndLongWords(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	tok := mustParse(t, readTokenizer(t, "gpt2"), nil)
	e := encoder{t: tok}
	for range 3000 {
		n := 1 + rnd.IntN(60)
		letters := "aehtn dos "[:1+rnd.IntN(10)]
		word := make([]byte, n)
		for i := range word {
			word[i] = letters[rnd.IntN(len(letters))]
		}
		e.symbols(spell(string(word)))
		long := slices.Clone(e.word)
		e.list.merge(&tok.merges, long)
		long = slices.DeleteFunc(long, func(id int32) bool { return id < 0 })
		e.mergeShort()
		if !slices.Equal(e.word, long) {
			t.Fatalf("%q: pairs %v, heap %v", word, e.word, long)
		}
	}
}

// Takes hours if a step is quadratic.
func TestLongTexts(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	for _, name := range []string{"stories260K", "gpt2", "llama3", "qwen2"} {
		tok := mustParse(t, readTokenizer(t, name), nil)
		for _, unit := range []string{"a", " ", "\n", "the", "▁", "é", "1", "<", "\u0301"} {
			s := strings.Repeat(unit, 300_000/len(unit))
			ids := encode(t, tok, s, false)
			if got := tok.Decode(ids, false); name != "qwen2" && name != "stories260K" && got != s {
				t.Errorf("%s: %d times %q came back as %d bytes", name, 300_000/len(unit), unit, len(got))
			}
		}
	}
}

func TestSlowNFC(t *testing.T) {
	texts, _ := readGoldens(t)
	rnd := rand.New(rand.NewPCG(9, 10))
	marks := []rune("aeoAEO\u0301\u0302\u0323\u0327\u0345\u1100\u1161\u11a8가각か\u3099क\u093c\u0958\u212b\u0344ệ")
	for range 3000 {
		var b strings.Builder
		for range 1 + rnd.IntN(12) {
			b.WriteRune(marks[rnd.IntN(len(marks))])
		}
		texts = append(texts, b.String())
	}
	for _, s := range texts {
		if want := norm.NFC.String(s); !strings.Contains(want, "\u034f") && slowForm(norm.NFC, s) != want {
			t.Fatalf("%+q: %+q, want %+q", s, slowForm(norm.NFC, s), want)
		}
	}
	if s := "e" + strings.Repeat("\u0301", 40); strings.Contains(nfc(s), "\u034f") {
		t.Error("marks were parted")
	}
}

func TestLoadErrors(t *testing.T) {
	good, err := mustParse(t, smallJSON(t, "", ""), nil).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := Load(good[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("first %d of %d bytes: %v", n, len(good), err)
		}
	}
	if _, err := Load(append(slices.Clone(good), 0)); !errors.Is(err, ErrFormat) {
		t.Errorf("a byte too many: %v", err)
	}
	// No change of a byte may give a tokenizer that is stored differently.
	for i := range good {
		for _, x := range []byte{1, 0x80, 0xff} {
			b := slices.Clone(good)
			b[i] ^= x
			if tok, err := Load(b); err == nil {
				if again, err := tok.MarshalBinary(); err != nil || string(again) != string(b) {
					t.Errorf("byte %d ^ %#x: stored form differs (%v)", i, x, err)
				}
			} else if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("byte %d ^ %#x: %v", i, x, err)
			}
		}
	}
}

// use does a little of everything and checks what must always hold.
func use(t *testing.T, tok *Tokenizer) {
	for _, s := range []string{"", "a ab <s>WORD\n", "x\u0301 12 it'ſ ▁\xffé", strings.Repeat("ab ", 20)} {
		if _, err := tok.Encode(context.Background(), s, true); errors.Is(err, ErrPattern) || errors.Is(err, ErrUnknown) {
			return
		}
		ids := encode(t, tok, s, true)
		if _, err := plain(tok).Encode(context.Background(), s, true); err != nil && !errors.Is(err, ErrPattern) && !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
		if e, err := tok.EncodePair(context.Background(), s, s, EncodeOptions{MaxLength: 20}); err == nil && (len(e.IDs) > 20 || len(e.TypeIDs) != len(e.IDs)) {
			t.Errorf("a pair of at most 20 tokens has %d, and %d types", len(e.IDs), len(e.TypeIDs))
		}
		stream, text := tok.NewStream(true), ""
		for _, id := range ids {
			text += stream.Next(id)
		}
		if text += stream.Flush(); text != tok.Decode(ids, true) {
			t.Errorf("stream %q, at once %q", text, tok.Decode(ids, true))
		}
		for _, id := range ids {
			if _, ok := tok.Token(id); !ok || int(id) >= tok.VocabSize() {
				t.Errorf("encoding %q gave id %d, which is no token", s, id)
			}
		}
	}
}

// Whatever the files of a folder hold, they are refused in a known way or make
// a tokenizer that keeps its form and spells what it encodes.
func FuzzParse(f *testing.F) {
	add := func(data []byte, conf, special, added, class string) {
		f.Add(data, []byte(conf), []byte(special), []byte(added), class)
	}
	add([]byte(small), `{"bos_token":"<s>"}`, `{}`, `{}`, "")
	add(smallJSON(f, "", ""), `{"chat_template":[{"name":"default","template":"x"}],"add_bos_token":true,"bos_token":{"content":"<s>"},"tokenizer_class":"Llama"}`, "", "", "")
	add(smallJSON(f, "", ""), `{"added_tokens_decoder":{"0":{"content":"<s>","special":true},"9":{"content":"WORD","lstrip":true}},"extra_special_tokens":["<a>"],"split_special_tokens":true}`, "", "", "CohereTokenizer")
	add(smallJSON(f, "", ""), `{"tokenizer_class":"GPT2TokenizerFast","add_prefix_space":true}`, `{"eos_token":{"content":"<e>","rstrip":true},"pad_token":null}`, `{"NEW":10}`, "LlamaTokenizer")
	plain := bytes.ReplaceAll(smallJSON(f, "", ""), []byte("ByteLevel"), []byte("Lowercase"))
	add(plain, `{"tokenizer_class":"LlamaTokenizer","legacy":true,"add_prefix_space":false}`, `{"unk_token":"<s>"}`, `{"WORD":9}`, "")
	add(plain, `{"extra_special_tokens":{"image_token":"<i>"},"additional_special_tokens":["x"]}`, "", "", "CodeLlamaTokenizer")
	for _, set := range []string{
		`{"normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true},"decoder":{"type":"ByteLevel"}}`,
		`{"normalizer":null,"pre_tokenizer":{"type":"Metaspace","replacement":"_"},"decoder":{"type":"Metaspace","replacement":"_"}}`,
		`{"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Punctuation","behavior":"Contiguous"},"decoder":null,"post_processor":{"type":"RobertaProcessing","cls":["<s>",0],"sep":["a",1]},"added_tokens":[]}`,
	} {
		var keys map[string]json.RawMessage
		unmarshal(f, []byte(set), &keys)
		add(with(f, smallJSON(f, "", ""), keys), "", "", "", "")
	}
	for model, more := range map[string]string{
		`{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":9,"vocab":{"u":0,"a":1,"##b":2,"<s>":3}}`:                                                                                            `"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},"post_processor":{"type":"BertProcessing","cls":["u",0],"sep":["a",1]},"truncation":{"max_length":4,"strategy":"LongestFirst","stride":0,"direction":"Right"},"padding":{"strategy":{"Fixed":4},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"u"}`,
		`{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["<s>",0],["a",-1.5],["▁a",-2e0],["b",-3.25]]}`:                                                                                                                           `"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"StripAccents"},{"type":"Nmt"},{"type":"Strip","strip_left":true,"strip_right":true},{"type":"Precompiled","precompiled_charsmap":"EAAAAAAEAAAAAAAAAAAAAAAAAABYAA=="}]},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},"decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},"post_processor":null`,
		`{"type":"WordLevel","unk_token":"u","vocab":{"u":0,"a":1,"<s>":2}}`:                                                                                                                                                                  `"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"decoder":{"type":"CTC","pad_token":"u","word_delimiter_token":"a","cleanup":true},"post_processor":null`,
		`{"type":"BPE","dropout":null,"unk_token":"u","continuing_subword_prefix":"@","end_of_word_suffix":"$","fuse_unk":true,"byte_fallback":false,"ignore_merges":false,"vocab":{"u":0,"a":1,"@b":2,"ab":3,"a$":4},"merges":[["a","@b"]]}`: `"normalizer":{"type":"ByteLevel"},"pre_tokenizer":{"type":"WhitespaceSplit"},"decoder":{"type":"BPEDecoder","suffix":"$"},"post_processor":null`,
	} {
		data := []byte(`{"version":"1.0","added_tokens":[],` + more + `,"model":` + model + `}`)
		mustParse(f, data, nil)
		for _, class := range []string{"", "BertTokenizer", "XLMRobertaTokenizer", "AlbertTokenizer", "DebertaV2Tokenizer", "T5Tokenizer", "CLIPTokenizer", "MPNetTokenizer"} {
			add(data, `{"do_lower_case":true,"clean_up_tokenization_spaces":true,"extra_ids":2}`, "", "", class)
		}
	}
	f.Fuzz(func(t *testing.T, data, conf, special, added []byte, class string) {
		some := func(b []byte) []byte {
			if len(b) == 0 {
				return nil
			}
			return b
		}
		tok, _, err := ParseFiles(Files{Tokenizer: data, Config: some(conf), SpecialTokensMap: some(special), AddedTokens: some(added), Class: class})
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("neither format nor unsupported: %v", err)
			}
			return
		}
		use(t, reload(t, tok))
	})
}

func FuzzLoad(f *testing.F) {
	for _, data := range [][]byte{smallJSON(f, "", ""), smallJSON(f, `{"type":"NFC"},`, ""), readTokenizer(f, "babyllama-105"),
		[]byte(`{"added_tokens":[],"model":{"type":"Unigram","unk_id":0,"vocab":[["<s>",0],["a",-1.5]]},"post_processor":{"type":"BertProcessing","cls":["<s>",0],"sep":["a",1]}}`)} {
		blob, err := mustParse(f, data, nil).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(blob)
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		tok, err := Load(blob)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("neither format nor unsupported: %v", err)
			}
			return
		}
		again, err := tok.MarshalBinary()
		if err != nil || string(again) != string(blob) {
			t.Errorf("stored form differs (%v)", err)
		}
		use(t, tok)
	})
}

// Whatever expression is let through, its spans cover the text and cut no character.
func FuzzRegex(f *testing.F) {
	for _, re := range []string{patternGPT2, patternLlama3, patternQwen2, `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{M}]*(?i:'s|k)?`, `\s+|(?!a)b{2,3}?|[a-c\]]`, `(a|b)*`, `\u3000|\.|`} {
		f.Add(re, "It'ſ a b\u3000c, 123\r\n aaab é가😀")
	}
	f.Fuzz(func(t *testing.T, re, s string) {
		if len(re) > 200 || len(s) > 60 || !utf8.ValidString(re) {
			return
		}
		find, err := (&pattern{Regex: &re}).finder()
		if err != nil {
			if !errors.Is(err, ErrUnsupported) {
				t.Error(err)
			}
			return
		}
		s = validUTF8(s)
		spans, err := find(s)
		if errors.Is(err, ErrPattern) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		end := 0
		for _, p := range spans {
			if p.start != end || p.end < p.start || !utf8.ValidString(s[p.start:p.end]) {
				t.Fatalf("%q on %q: spans %v", re, s, spans)
			}
			end = p.end
		}
		if end != len(s) {
			t.Fatalf("%q on %q: spans end at %d", re, s, end)
		}
	})
}

// What a normalizer drops at the start of a text leaves nothing that starts there.
func TestHeadless(t *testing.T) {
	strip := func(left, right bool) normalizer {
		n, err := normalizerKinds["Strip"].make(&component{StripLeft: &left, StripRight: &right})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	word := "ab"
	cut, err := replaceNormalizer(&component{Pattern: &pattern{String: &word}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    normalizer
		s    string
		want bool
	}{
		{strip(true, false), " a", true}, {strip(true, false), "a ", false}, {strip(false, true), " a", false}, {strip(true, true), "  ", true},
		{cut, "abc", true}, {cut, "cab", false}, {pure(lowercase), "A b", false}, {pure(nmt), "\x01a", true},
	} {
		if got := headless(c.f, c.s); got != c.want {
			t.Errorf("%q: %v", c.s, got)
		}
	}
}

// A token of spaces that takes in those on both sides stands once for a run of them.
func TestSpaceToken(t *testing.T) {
	var m matcher
	a := &addedToken{pattern: " "}
	a.Lstrip, a.Rstrip = true, true
	m.add(a)
	var got []string
	for p := range m.split("a   b ", false, nil) {
		if p.token != nil {
			p.text = "<>"
		}
		got = append(got, p.text)
	}
	if want := []string{"a", "<>", "b", "<>"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
