package constrain

import (
	"maps"
	"slices"
	"strings"
)

// formats are the formats of JSON Schema as expressions. Each keeps to texts that every reader takes: years of four
// digits, no 29th of February, addresses without quotes and comments, URIs of the web.
var formats = map[string]string{
	"date":      date,
	"time":      clock,
	"date-time": date + "T" + clock,
	"duration":  `P([0-9]{1,4}W|[0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?|[0-9]{1,4}M([0-9]{1,4}D)?|[0-9]{1,4}D|([0-9]{1,4}D)?T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))`,
	"email":     `[A-Za-z0-9_+-]{1,30}(\.[A-Za-z0-9_+-]{1,30})?@` + host,
	"hostname":  host,
	"ipv4":      octet + `(\.` + octet + `){3}`,
	"ipv6":      ipv6(),
	"uri":       `https?://` + host + `(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~/-]*)?(\?[A-Za-z0-9._~=&-]*)?`,
	"uuid":      `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
}

// anyText are formats that say what a text is for, not what it looks like.
var anyText = []string{"password", "binary", "path", "file-path", "directory-path"}

var formatNames = strings.Join(slices.Sorted(maps.Keys(formats)), ", ")

const (
	date  = `[12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))`
	clock = `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`
	label = `[a-z0-9]([a-z0-9]|-[a-z0-9]){0,14}`
	host  = label + `(\.` + label + `){1,4}`
	octet = `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
	group = `[0-9a-f]{1,4}`
)

// ipv6 is eight groups, or fewer with one ::.
func ipv6() string {
	forms := []string{group + `(:` + group + `){7}`, `::`}
	for before := 0; before < 7; before++ {
		left := ""
		if before > 0 {
			left = group + strings.Repeat(`:`+group, before-1)
		}
		forms = append(forms, left+`::`+group+`(:`+group+`){0,`+string(rune('0'+6-before))+`}`)
		if before > 0 {
			forms = append(forms, left+`::`)
		}
	}
	return "(" + strings.Join(forms, "|") + ")"
}
