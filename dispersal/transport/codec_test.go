package transport

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"github.com/ordo-network/ordo/order"
)

func testBatch(t testing.TB) *order.SignedBatch {
	t.Helper()
	bundle := order.Bundle{Expiry: 100, Legs: []order.Leg{{RollupID: order.RollupID{1}, Transactions: [][]byte{{1, 2, 3}}}}}
	bundle.Sign(chainID, testPosition.Owner, testKey(1))
	batch := order.Batch{Bundles: []*order.Bundle{&bundle}}
	s := &order.SignedBatch{Header: order.BatchHeader{
		Position: testPosition, Epoch: 1, Root: order.Digest{1}, Length: uint64(batch.Size()), Bundles: []order.BundleSummary{bundle.Summary()},
	}}
	s.Sign(chainID, testKey(2))
	return s
}

var testPosition = order.Position{Owner: order.Owner{1, 2, 3}, Mark: order.Mark{Session: 4, Sequence: 5}}

func testCertificate(t testing.TB) *order.Certificate {
	t.Helper()
	b := testBatch(t)
	id := b.Header.ID(chainID)
	c := &order.Certificate{Header: b.Header, Attestations: []order.Attestation{{Member: 3, Clock: 77}}}
	copy(c.Attestations[0].Signature[:], ed25519.Sign(testKey(3), order.AttestationSignBytes(chainID, testPosition, id, 77)))
	c.Sign(chainID, testKey(2))
	return c
}

// body is what the receiver of the message gets.
func body(o Outgoing) []byte { return append(bytes.Clone(o.Head), o.Body...) }

// samples has a message of each type, and the longest of those of bounded content.
func samples(t testing.TB) []Outgoing {
	batch, cert := testBatch(t), testCertificate(t)
	longest := order.Position{Owner: order.Owner{0xff}, Mark: order.Mark{Session: 1<<64 - 1, Sequence: 1<<64 - 1}}
	tips := make([]order.Tip, order.MaxTips)
	for i := range tips {
		binary.BigEndian.PutUint16(tips[i].Owner[:], uint16(i))
		tips[i].Mark = longest.Mark
	}
	return []Outgoing{
		DisperseOutgoing(DisperseHead(batch), []byte("share")),
		(&Attest{Position: testPosition, Batch: order.BatchID{6}, Attestation: cert.Attestations[0]}).Outgoing(),
		(&Attest{Position: longest, Attestation: order.Attestation{Member: order.MaxMembers - 1, Clock: 1<<64 - 1}}).Outgoing(),
		(&Refuse{Position: testPosition, Batch: order.BatchID{6}, Reason: 3, Expected: order.Mark{Session: 1, Sequence: 2}}).Outgoing(),
		CertificateOutgoing(cert.Encode()),
		TipsOutgoing(nil), TipsOutgoing([]order.Tip{{Owner: order.Owner{1}, Mark: order.Mark{Session: 1, Sequence: 1}}}), TipsOutgoing(tips),
		(&Pull{From: testPosition, Max: 7}).Outgoing(),
		CertificatesOutgoing(8, nil), CertificatesOutgoing(8, [][]byte{cert.Encode(), cert.Encode()}),
		(&GetShare{Position: testPosition, Epoch: 9, Batch: order.BatchID{6}}).Outgoing(),
		(&GetShare{Position: testPosition, Epoch: 9, Batch: order.BatchID{6}, Header: true}).Outgoing(),
		ShareOutgoing(8, nil, []byte("share")), ShareOutgoing(8, batch.Encode(), []byte("share")),
		NotFoundOutgoing(8),
	}
}

// recode decodes a body by its type and encodes what came out.
func recode(typ Type, raw []byte) ([]byte, error) {
	switch typ {
	case TypeDisperse:
		d, err := DecodeDisperse(raw)
		if err != nil {
			return nil, err
		}
		return body(DisperseOutgoing(DisperseHead(d.Batch), d.Share)), nil
	case TypeAttest:
		a, err := DecodeAttest(raw)
		if err != nil {
			return nil, err
		}
		return body(a.Outgoing()), nil
	case TypeRefuse:
		r, err := DecodeRefuse(raw)
		if err != nil {
			return nil, err
		}
		return body(r.Outgoing()), nil
	case TypeCertificate:
		c, err := order.DecodeCertificate(raw)
		if err != nil {
			return nil, err
		}
		return body(CertificateOutgoing(c.Encode())), nil
	case TypeTips:
		tips, err := order.DecodeTips(raw)
		if err != nil {
			return nil, err
		}
		return body(TipsOutgoing(tips)), nil
	case TypePull:
		id, p, err := DecodePull(raw)
		if err != nil {
			return nil, err
		}
		return numbered(p.Outgoing(), id), nil
	case TypeCertificates:
		certs, err := DecodeCertificates(raw)
		if err != nil {
			return nil, err
		}
		var encoded [][]byte
		for _, c := range certs {
			encoded = append(encoded, c.Encode())
		}
		return body(CertificatesOutgoing(binary.BigEndian.Uint64(raw), encoded)), nil
	case TypeGetShare:
		id, g, err := DecodeGetShare(raw)
		if err != nil {
			return nil, err
		}
		return numbered(g.Outgoing(), id), nil
	case TypeShare:
		batch, share, err := DecodeShare(raw)
		if err != nil {
			return nil, err
		}
		var header []byte
		if batch != nil {
			header = batch.Encode()
		}
		return body(ShareOutgoing(binary.BigEndian.Uint64(raw), header, share)), nil
	}
	return raw, nil
}

func numbered(o Outgoing, id uint64) []byte {
	b := body(o)
	binary.BigEndian.PutUint64(b, id)
	return b
}

func TestCodecs(t *testing.T) {
	t.Parallel()
	for i, o := range samples(t) {
		raw := body(o)
		if most, ok := o.Type.bound(1000); !ok || len(raw) > most {
			t.Errorf("sample %d: %v of %d bytes, bound %d", i, o.Type, len(raw), most)
		}
		again, err := recode(o.Type, raw)
		if err != nil || !bytes.Equal(again, raw) {
			t.Errorf("sample %d: %v: %v\n%x, want\n%x", i, o.Type, err, again, raw)
		}
		if o.Type == TypeDisperse || o.Type == TypeShare { // what follows is the share, opaque here
			continue
		}
		if _, err := recode(o.Type, append(raw, 0)); err == nil && o.Type != TypeNotFound {
			t.Errorf("sample %d: %v with a byte too much passes", i, o.Type)
		}
	}
}

func TestCertificatesFillOneMessage(t *testing.T) {
	t.Parallel()
	one := testCertificate(t).Encode()
	many := make([][]byte, MaxCertificatesBytes/len(one)+10)
	for i := range many {
		many[i] = one
	}
	raw := body(CertificatesOutgoing(1, many))
	certs, err := DecodeCertificates(raw)
	if bound, _ := TypeCertificates.bound(0); err != nil || len(raw) > bound || len(certs) != MaxCertificatesBytes/(len(one)+4) {
		t.Errorf("%d certificates in %d bytes: %v", len(certs), len(raw), err)
	}
}

// Whatever comes in, decoding does not fail but by an error, and what passes is the
// one encoding of what it says.
func FuzzDecode(f *testing.F) {
	for _, o := range samples(f) {
		f.Add(uint8(o.Type), body(o))
	}
	f.Fuzz(func(t *testing.T, typ uint8, raw []byte) {
		if bound, ok := Type(typ).bound(1 << 20); !ok || len(raw) > bound {
			return
		}
		again, err := recode(Type(typ), raw)
		if err == nil && !bytes.Equal(again, raw) {
			t.Errorf("%v: %x comes back as %x", Type(typ), raw, again)
		}
	})
}

func FuzzHead(f *testing.F) {
	f.Add([]byte{byte(TypeDisperse), 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) != headBytes {
			return
		}
		typ, n, err := parseHead([headBytes]byte(raw), 1<<20)
		if err != nil {
			return
		}
		if bound, _ := typ.bound(1 << 20); n > bound || !bytes.Equal(appendHead(nil, typ, n), raw) {
			t.Errorf("%x passes as %v of %d bytes", raw, typ, n)
		}
	})
}
