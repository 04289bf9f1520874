-- What differs between environments; db/init/ENV fills it.

-- migrate:up
CREATE TABLE IF NOT EXISTS shop_settings (
    key text PRIMARY KEY,
    value jsonb NOT NULL,
    description text NOT NULL
);
COMMENT ON TABLE shop_settings IS 'Settings that the application reads when it starts.';
COMMENT ON COLUMN shop_settings.key IS 'Name of the setting.';
COMMENT ON COLUMN shop_settings.value IS 'Its value.';
COMMENT ON COLUMN shop_settings.description IS 'What it does.';

-- migrate:down
DROP TABLE IF EXISTS shop_settings;
