-- needs contrib: hstore
UPDATE products p SET attributes = new.attributes
FROM (VALUES
    ('KIT-0001', '"diameter"=>"24 cm", "colour"=>"blue"'::hstore),
    ('LIGHT-0001', '"material"=>"brass", "dimmer"=>"yes"'::hstore)
) AS new (sku, attributes)
WHERE p.sku = new.sku AND p.attributes <> new.attributes;
