package tokenizer

// config is all of a tokenizer but its vocabulary and merges. It is stored as
// JSON; fields are in the order and with the names of the file format.
type config struct {
	Added        []addedToken `json:"added_tokens,omitempty"`
	Normalizer   *component   `json:"normalizer,omitempty"`
	PreTokenizer *component   `json:"pre_tokenizer,omitempty"`
	Decoder      *component   `json:"decoder,omitempty"`
	Model        string       `json:"model,omitempty"` // "": BPE
	Unk          *string      `json:"unk_token,omitempty"`
	SubwordPre   string       `json:"continuing_subword_prefix,omitempty"`
	WordEnd      string       `json:"end_of_word_suffix,omitempty"`
	MaxWord      int          `json:"max_input_chars_per_word,omitempty"` // WordPiece
	FuseUnk      bool         `json:"fuse_unk,omitempty"`
	ByteFallback bool         `json:"byte_fallback,omitempty"`
	IgnoreMerges bool         `json:"ignore_merges,omitempty"`
	Prefix       []int32      `json:"prefix,omitempty"` // put before a text, with addSpecial
	Suffix       []int32      `json:"suffix,omitempty"`
	Single       []item       `json:"single,omitempty"` // one text, where prefix and suffix do not say it all
	Pair         []item       `json:"pair,omitempty"`   // two texts, where it is not each as one
	Truncation   *Truncation  `json:"truncation,omitempty"`
	Padding      *Padding     `json:"padding,omitempty"`
	BOS          *int32       `json:"bos,omitempty"`
	EOS          *int32       `json:"eos,omitempty"`

	Named        map[string]string `json:"special_tokens,omitempty"`       // bos_token and so on
	CleanUp      bool              `json:"clean_up,omitempty"`             // of decoded text, as a whole
	SplitSpecial bool              `json:"split_special_tokens,omitempty"` // special tokens spelled in a text are text
	ChatTemplate string            `json:"chat_template,omitempty"`        // the default one
	Templates    map[string]string `json:"chat_templates,omitempty"`       // others by name
}

// component is one normalizer, pre-tokenizer or decoder, or a Sequence of
// them, as tokenizer.json writes it.
type component struct {
	Type             string      `json:"type"`
	Normalizers      []component `json:"normalizers,omitempty"`
	PreTokenizers    []component `json:"pretokenizers,omitempty"`
	Decoders         []component `json:"decoders,omitempty"`
	Pattern          *pattern    `json:"pattern,omitempty"`           // Split, Replace
	Content          string      `json:"content,omitempty"`           // Replace, Strip
	Prepend          string      `json:"prepend,omitempty"`           // Prepend
	Start            int         `json:"start,omitempty"`             // Strip
	Stop             int         `json:"stop,omitempty"`              // Strip
	Behavior         string      `json:"behavior,omitempty"`          // Split
	Invert           bool        `json:"invert,omitempty"`            // Split
	IndividualDigits bool        `json:"individual_digits,omitempty"` // Digits
	AddPrefixSpace   *bool       `json:"add_prefix_space,omitempty"`  // ByteLevel, Metaspace
	TrimOffsets      *bool       `json:"trim_offsets,omitempty"`      // ByteLevel; says nothing about ids
	UseRegex         *bool       `json:"use_regex,omitempty"`         // ByteLevel, default true
	Replacement      string      `json:"replacement,omitempty"`       // Metaspace
	StrRep           string      `json:"str_rep,omitempty"`           // Metaspace, old; ignored by the library too
	PrependScheme    string      `json:"prepend_scheme,omitempty"`    // Metaspace
	Split            *bool       `json:"split,omitempty"`             // Metaspace, default true
	Delimiter        string      `json:"delimiter,omitempty"`         // CharDelimiterSplit
	Length           int         `json:"length,omitempty"`            // FixedLength

	StripLeft    *bool  `json:"strip_left,omitempty"`  // Strip, default true
	StripRight   *bool  `json:"strip_right,omitempty"` // Strip, default true
	CleanText    *bool  `json:"clean_text,omitempty"`  // BertNormalizer, all four
	ChineseChars *bool  `json:"handle_chinese_chars,omitempty"`
	StripAccents *bool  `json:"strip_accents,omitempty"` // default: as lowercase
	Lowercase    *bool  `json:"lowercase,omitempty"`
	Charsmap     []byte `json:"precompiled_charsmap,omitempty"` // Precompiled
	Prefix       string `json:"prefix,omitempty"`               // WordPiece
	Suffix       string `json:"suffix,omitempty"`               // BPEDecoder
	Cleanup      bool   `json:"cleanup,omitempty"`              // WordPiece, CTC
	PadToken     string `json:"pad_token,omitempty"`            // CTC
	WordEnd      string `json:"word_delimiter_token,omitempty"` // CTC
}
